"""Masked networks see what they may see, all of it, and nothing else."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.nets.autoregressive import check_groups, equal_groups, windows
from thalweg.nets.masked_mlp import MaskedMLP, degrees

PARAMETERS = 3


def network(dim, groups=None, context_size=0, hidden=(16, 11), seed=0):
    """With every weight and bias away from zero."""
    net = MaskedMLP(
        equal_groups(dim, groups),
        PARAMETERS,
        hidden,
        key=jax.random.key(seed),
        context_size=context_size,
        final_gain=1.0,
    )
    leaves, tree = jax.tree.flatten(eqx.filter(net, eqx.is_array))
    keys = jax.random.split(jax.random.key(seed + 1), len(leaves))
    moved = [a + jax.random.normal(k, a.shape) for a, k in zip(leaves, keys, strict=True)]
    return eqx.combine(jax.tree.unflatten(tree, moved), net)


def sees(net, context_size=0):
    """By derivatives: which inputs the parameters of each input depend on, and which context."""
    found = np.zeros((net.inputs, net.inputs), bool)
    context_found = np.zeros((net.inputs, context_size), bool)
    for seed in range(3):
        x = jax.random.normal(jax.random.key(seed), (net.inputs,))
        context = jax.random.normal(jax.random.key(seed), (context_size,))
        args = (x, context) if context_size else (x,)
        for place, out in zip((found, context_found), range(len(args)), strict=False):
            slopes = jax.jacobian(net, argnums=out)(*args).reshape(PARAMETERS, net.inputs, -1)
            place |= np.any(np.asarray(slopes) != 0, axis=0)
    return found, context_found


@pytest.mark.parametrize("context_size", [0, 2])
@pytest.mark.parametrize(("dim", "groups"), [(1, None), (2, None), (5, None), (7, 3), (6, 2)])
def test_parameters_depend_on_all_earlier_groups_and_nothing_else(dim, groups, context_size):
    net = network(dim, groups, context_size)
    found, context_found = sees(net, context_size)
    labels = np.array(net.groups)
    np.testing.assert_array_equal(found, labels[:, None] > labels[None, :])
    assert context_found.all()  # the first output too


def test_a_network_narrower_than_its_input_leaks_nothing():
    net = network(9, hidden=(4,))
    found, _ = sees(net)
    assert not np.any(found & (np.arange(9)[:, None] <= np.arange(9)[None, :]))


@pytest.mark.parametrize("context_size", [0, 2])
@pytest.mark.parametrize(("dim", "groups"), [(1, None), (5, None), (7, 3), (6, 2), (40, None)])
def test_group_by_group_gives_what_all_at_once_gives(dim, groups, context_size):
    net = network(dim, groups, context_size)
    x = jax.random.normal(jax.random.key(3), (dim,))
    context = jax.random.normal(jax.random.key(4), (context_size,)) if context_size else None
    whole = net(x, context).reshape(PARAMETERS, dim)
    labels = np.array(net.groups)
    begins, width = windows(labels, max(labels) + 1)
    state, known = net.start(context), jnp.zeros(dim)
    for group in range(max(labels) + 1):
        theta, state = net.advance(jnp.asarray(group), known, state, context)
        window = slice(begins[group], begins[group] + width)
        mine = labels[window] == group
        np.testing.assert_allclose(theta[:, mine], whole[:, window][:, mine], atol=1e-12)
        known = jnp.where(labels <= group, x, 0.0)


def test_degrees_are_spread_evenly():
    np.testing.assert_array_equal(degrees(6, 4, 0), [1, 1, 2, 2, 3, 3])
    np.testing.assert_array_equal(degrees(4, 4, 1), [0, 1, 2, 3])
    np.testing.assert_array_equal(degrees(3, 1, 0), [0, 0, 0])


def test_windows_hold_their_labels_and_stay_inside():
    begins, width = windows(np.array([0, 0, 0, 1, 2, 2]), 3)
    assert (begins.tolist(), width) == ([0, 3, 3], 3)
    assert windows(np.array([1, 1, 3]), 4)[1] == 2  # labels that nobody has


def test_groups_are_numbered_along_the_vector():
    assert equal_groups(5, 2) == (0, 0, 0, 1, 1)
    assert equal_groups(3) == (0, 1, 2)
    assert check_groups((0, 0, 1)) == 2
    for wrong in ((1, 0), (0, 2), (), (1, 2)):
        with pytest.raises(ValueError, match="groups"):
            check_groups(wrong)
    with pytest.raises(ValueError, match="cannot form"):
        equal_groups(3, 4)


def test_hidden_units_start_at_one_scale_whatever_they_see():
    """A unit that sees one input of forty must not start forty times quieter."""
    net = MaskedMLP(tuple(range(40)), 1, (400,), key=jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (2000, 40))
    weight = net._masked()[0]
    sizes = np.std(np.asarray(x @ weight), axis=0)
    assert sizes[:40].mean() == pytest.approx(sizes[-40:].mean(), rel=0.25)
