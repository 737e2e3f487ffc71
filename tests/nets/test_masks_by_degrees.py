"""Masked networks: degrees, the scale they start at, other orders of the same weights."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from contract.probes import jit
from nets.conditioners import PARAMETERS, network

from thalweg.nets.activations import ACTIVATIONS
from thalweg.nets.masked_mlp import MaskedMLP
from thalweg.nets.masks_by_degrees import permute_within, spread_degrees

masked = pytest.mark.parametrize("kind", ["masked", "direct", "centred", "residual"])


@jit
def _slopes(net, x):
    return jax.vmap(jax.jacobian(net))(x)


def _sees(net):
    slopes = _slopes(net, jax.random.normal(jax.random.key(0), (3, net.inputs)))
    return np.any(np.asarray(slopes).reshape(3, PARAMETERS, net.inputs, -1) != 0, axis=(0, 1))


def test_a_network_narrower_than_its_input_leaks_nothing():
    found = _sees(network(9, hidden=(4,)))
    assert found.any()
    assert not np.any(found & (np.arange(9)[:, None] <= np.arange(9)[None, :]))


def test_direct_connections_show_every_earlier_input():
    """However few the hidden units are, and however they are spread."""
    found = _sees(network(9, kind="direct", hidden=(4,)))
    np.testing.assert_array_equal(found, np.tri(9, k=-1, dtype=bool))
    alone = MaskedMLP(tuple(range(9)), 1, (), key=jax.random.key(0), direct=True)
    assert len(alone.layers) == 1


def test_degrees_are_spread_evenly():
    np.testing.assert_array_equal(spread_degrees(6, 4, 0), [1, 1, 2, 2, 3, 3])
    np.testing.assert_array_equal(spread_degrees(4, 4, 1), [0, 1, 2, 3])
    np.testing.assert_array_equal(spread_degrees(3, 1, 0), [0, 0, 0])


def test_units_start_small_where_they_see_few_inputs_and_at_one_scale_of_what_hidden_units_say():
    net = MaskedMLP(tuple(range(40)), 1, (400, 400), key=jax.random.key(0))
    first, second, _ = net._weights()
    sizes = np.linalg.norm(first, axis=0)
    assert sizes[-10:].mean() == pytest.approx(3**-0.5, rel=0.1)  # uniform on ±40^−½, 39 of 40
    assert sizes[:10].mean() < 0.3 * sizes[-10:].mean()
    sizes = np.linalg.norm(second, axis=0)
    assert sizes[:40].mean() == pytest.approx(sizes[-40:].mean(), rel=0.25)


@masked
@pytest.mark.parametrize(("groups", "context_size"), [(None, 0), (3, 2)])
@pytest.mark.few(1)
def test_another_order_keeps_the_weights_of_every_input_and_unit(kind, groups, context_size):
    """Without masks it is the same function of the same inputs; with them, of another order."""
    net = network(6, groups, context_size, kind=kind, std=0.3)
    other, order = net.shuffled(jax.random.key(5))
    other = other.in_order()
    assert sorted(order.tolist()) == list(range(6)) != order.tolist()
    x = jax.random.normal(jax.random.key(2), (6,))
    context = jax.random.normal(jax.random.key(3), (context_size,))

    @jit
    def unmasked(model, v):
        y = jnp.concatenate([v, context])

        def apply(i, u):
            return model._layer_input(i, u) @ model.layers[i].weight + model.layers[i].bias

        return model.formula(y, apply)

    rows = unmasked(net, x).reshape(PARAMETERS, 6)[:, order]
    np.testing.assert_allclose(unmasked(other, x[order]).reshape(PARAMETERS, 6), rows, rtol=1e-10)
    for one, same in zip(net.layers, other.layers, strict=True):
        assert not np.array_equal(one.weight, same.weight)


@masked
@pytest.mark.few(1)
def test_another_connectivity_keeps_the_order_of_the_inputs(kind):
    """Output i sees the inputs before i still, by other hidden units."""
    net = network(6, kind=kind, std=0.3)
    other, order = net.shuffled(jax.random.key(5), reorder=False)
    np.testing.assert_array_equal(order, np.arange(6))
    np.testing.assert_array_equal(_sees(other), _sees(net))
    x = jax.random.normal(jax.random.key(2), (6,))
    assert not np.allclose(other(x), net(x))


@pytest.mark.parametrize("reach", [0.02, 0.1, 0.5])
def test_within_a_reach_nothing_moves_further(reach):
    moves = np.stack(
        [permute_within(jax.random.key(i), 200, reach) - np.arange(200) for i in range(20)]
    )
    np.testing.assert_array_equal(np.sort(moves + np.arange(200), 1)[0], np.arange(200))
    assert 0.4 * reach * 200 < np.abs(moves).max() <= reach * 200
    assert len({tuple(row) for row in moves.tolist()}) == 20


@masked
def test_masks_within_a_small_reach_are_the_same(kind):
    net = network(6, kind=kind, std=0.3)
    x = jax.random.normal(jax.random.key(2), (6,))
    same, order = net.shuffled(jax.random.key(5), reach=0.01)
    np.testing.assert_array_equal(order, np.arange(6))
    np.testing.assert_allclose(same(x), net(x), rtol=1e-12)
    for bad in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="reach must be positive"):
            net.shuffled(jax.random.key(5), reach=bad)


@masked
def test_another_order_masks_by_its_own_places(kind):
    other, _ = network(6, kind=kind, std=0.3).shuffled(jax.random.key(5))
    np.testing.assert_array_equal(_sees(other), np.tri(6, k=-1, dtype=bool))


@masked
@pytest.mark.parametrize(("groups", "context_size"), [(None, 0), (3, 2)])
def test_units_sorted_by_degree_are_the_same_network(kind, groups, context_size):
    other, _ = network(6, groups, context_size, kind=kind, std=0.3).shuffled(jax.random.key(5))
    x = jax.random.normal(jax.random.key(2), (6,))
    context = jax.random.normal(jax.random.key(3), (context_size,)) if context_size else None
    expected = other(x, context)
    for same in (other.in_order(), other.prepare(), other.prepare().in_order()):
        np.testing.assert_allclose(same(x, context), expected, rtol=1e-12)
    again, order = other.shuffled(jax.random.key(6))
    of_ordered, same_order = other.in_order().shuffled(jax.random.key(6))
    np.testing.assert_array_equal(order, same_order)
    np.testing.assert_allclose(again(x, context), of_ordered(x, context), rtol=1e-12)


def test_what_a_mask_hides_counts_as_the_centre():
    """At its centres a network says the same under every mask: there is nothing to hide."""
    net = network(6, kind="centred", std=0.3)
    h, centres = jax.random.normal(jax.random.key(2), (6,)), []
    for layer in net.layers[:-1]:
        centres.append(h)
        h = ACTIVATIONS[net.activation](layer.bias)
    net = eqx.tree_at(lambda n: n.centres, net, tuple(centres))
    outputs = [
        net.shuffled(k, reorder=False)[0](centres[0])
        for k in jax.random.split(jax.random.key(3), 3)
    ]
    expected = net.layers[-2].bias + net.layers[-1].bias
    for output in (net(centres[0]), *outputs):
        np.testing.assert_allclose(output, expected, rtol=1e-12)
    assert not np.allclose(network(6, kind="direct", std=0.3)(centres[0]), expected)
