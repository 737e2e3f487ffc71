"""Every autoregressive network: parameters see what they may see, all at once or in turn."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from contract.probes import jit
from nets.conditioners import KINDS, PARAMETERS, network

from thalweg.nets import sequential_inverse as module
from thalweg.nets.autoregressive import check_groups, equal_groups, windows
from thalweg.nets.sequential_inverse import invert_sequentially

every = pytest.mark.parametrize("kind", sorted(KINDS))
CASES = [(1, None, 2), (2, None, 0), (5, None, 2), (7, 3, 0), (6, 2, 2)]


@jit
def _slopes(net, x, context):
    return jax.vmap(jax.jacobian(net, argnums=(0, 1)))(x, context)


def sees(net):
    """By derivatives: which inputs the parameters of each input depend on, and which context."""
    x = jax.random.normal(jax.random.key(0), (3, net.inputs))
    context = jax.random.normal(jax.random.key(1), (3, net.context_size))
    slopes = _slopes(net, x, context)
    return [
        np.any(np.asarray(s).reshape(3, PARAMETERS, net.inputs, -1) != 0, axis=(0, 1))
        for s in slopes
    ]


@every
@pytest.mark.parametrize(("dim", "groups", "context_size"), CASES)
@pytest.mark.few(3)
def test_parameters_depend_on_all_earlier_groups_and_nothing_else(dim, groups, context_size, kind):
    net = network(dim, groups, context_size, kind=kind, std=0.3)
    found, context_found = sees(net)
    labels = np.array(net.groups)
    np.testing.assert_array_equal(found, labels[:, None] > labels[None, :])
    assert context_found.all()  # the first output too


def decide(theta, given):
    """Any function of a number and its parameters."""
    return jnp.tanh(theta[0]) + theta[1] * given


@jit
def _away(net, given, context):
    """The distance of x from what the whole network decides at x."""

    def one(x, given, context):
        theta = net(x, context).reshape(PARAMETERS, -1)
        return jnp.max(jnp.abs(jax.vmap(decide, (1, 0))(theta, given) - x))

    x = jax.vmap(lambda g, c: invert_sequentially(net, decide, g, c))(given, context)
    return x, jax.vmap(one)(x, given, context)


def _given(net, count=6):
    given = jax.random.normal(jax.random.key(3), (count, net.inputs))
    return given, jax.random.normal(jax.random.key(4), (count, net.context_size))


@every
@pytest.mark.parametrize(("dim", "groups", "context_size"), [*CASES, (40, None, 0)])
@pytest.mark.few(4)
def test_the_sequential_inverse_is_that_of_the_whole_network(dim, groups, context_size, kind):
    net = network(dim, groups, context_size, kind=kind, std=0.2)
    x, away = _away(net, *_given(net))
    assert np.all(away < 1e-11 * (1 + np.abs(x).max(1)))


@every
@pytest.mark.few(1)
def test_the_sequential_inverse_under_any_vmap(kind, monkeypatch):
    """Columns, pieces of columns, a context that all share, a point, an ensemble of networks."""
    net = network(7, 3, 2, kind=kind, std=0.2)
    given, context = _given(net)
    point, shared = given[0], context[0]

    def all_ways(net, given, context):
        nets = jax.tree.map(lambda a: jnp.stack([a + 0.1, a]) if eqx.is_array(a) else a, net)
        along = jax.vmap(lambda g: invert_sequentially(net, decide, g, shared))(given)
        return {
            "events": jax.vmap(lambda g, c: invert_sequentially(net, decide, g, c))(given, context),
            "shared": along,
            "contexts": jax.vmap(lambda c: invert_sequentially(net, decide, point, c))(context),
            "networks": eqx.filter_vmap(
                lambda n: jax.vmap(lambda g: invert_sequentially(n, decide, g, shared))(given)
            )(nets)[1],
            "one network each": eqx.filter_vmap(
                lambda n: invert_sequentially(n, decide, point, shared)
            )(nets)[1],
        }

    whole = jit(all_ways)(net, given, context)
    monkeypatch.setattr(module, "EVENTS", 4)  # of six: one piece is padded
    pieces = jit(lambda *arguments: all_ways(*arguments))(net, given, context)
    for name, value in whole.items():
        np.testing.assert_allclose(pieces[name], value, rtol=1e-12, err_msg=name)
    one = jit(lambda g, c: invert_sequentially(net, decide, g, c))
    np.testing.assert_allclose(whole["events"][2], one(given[2], context[2]), rtol=1e-11)
    np.testing.assert_allclose(whole["shared"][2], one(given[2], shared), rtol=1e-11)
    np.testing.assert_allclose(whole["contexts"][2], one(point, context[2]), rtol=1e-11)
    np.testing.assert_allclose(whole["networks"], whole["shared"], rtol=1e-11)
    np.testing.assert_allclose(whole["one network each"], whole["shared"][0], rtol=1e-11)


@every
def test_the_sequential_inverse_stays_float32(kind):
    net = jax.tree.map(
        lambda a: a.astype(jnp.float32) if eqx.is_inexact_array(a) else a, network(5, kind=kind)
    )
    given = jax.ShapeDtypeStruct((3, 5), jnp.float32)
    out = jax.eval_shape(jax.vmap(lambda g: invert_sequentially(net, decide, g)), given)
    assert out.dtype == jnp.float32


@pytest.mark.parametrize(("dim", "groups"), [(9, None), (9, 4)])
def test_each_group_costs_one_step(dim, groups):
    """One loop, as many steps as groups: the passes an inverse costs."""
    net = network(dim, groups)
    program = str(jax.make_jaxpr(lambda g: invert_sequentially(net, decide, g))(jnp.zeros(dim)))
    assert program.count("scan[") == 1
    assert f"length={groups or dim}\n" in program


def test_windows_hold_their_labels_and_stay_inside():
    begins, width = windows(np.array([0, 0, 0, 1, 2, 2]), 3)
    assert (begins.tolist(), width) == ([0, 3, 3], 3)
    assert windows(np.array([1, 1, 3]), 4)[1] == 2  # labels that do not occur


def test_groups_are_numbered_along_the_vector():
    assert equal_groups(5, 2) == (0, 0, 0, 1, 1)
    assert equal_groups(3) == (0, 1, 2)
    assert check_groups((0, 0, 1)) == 2
    for wrong in ((1, 0), (0, 2), (), (1, 2)):
        with pytest.raises(ValueError, match="groups"):
            check_groups(wrong)
    with pytest.raises(ValueError, match="cannot form"):
        equal_groups(3, 4)


@pytest.mark.parametrize("kind", ["gru"])
def test_only_masked_networks_have_other_masks(kind):
    with pytest.raises(TypeError, match="a GRU has no masks"):
        network(3, kind=kind).shuffled(jax.random.key(0))
