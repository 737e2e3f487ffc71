"""Conditioners: sizes, the start at zero, contexts, formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.nets import ACTIVATIONS, MLP, Amortised, Linear, ResidualMLP

KEY = jax.random.key(0)
NETS = {
    "mlp": lambda i, o, **options: MLP(i, o, (8, 8), **options),
    "residual_mlp": lambda i, o, **options: ResidualMLP(i, o, 8, 2, **options),
}


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize(("inputs", "context"), [(3, 0), (3, 2), (0, 2), (0, 0)])
def test_starts_at_zero_and_has_the_promised_size(name, inputs, context):
    net = NETS[name](inputs, 4, key=KEY, context_size=context)
    given = jnp.ones(context) if context else None
    assert np.array_equal(net(jnp.ones(inputs), given), np.zeros(4))
    assert (net.inputs, net.outputs, net.context_size) == (inputs, 4, context)


@pytest.mark.parametrize("name", NETS)
def test_every_output_depends_on_every_input_and_context(name):
    net = NETS[name](3, 4, key=KEY, context_size=2, final_gain=1.0)
    for argument in (0, 1):
        jacobian = jax.jacfwd(net, argnums=argument)(jnp.ones(3), jnp.ones(2))
        assert (np.abs(jacobian) > 0).all()
    # A context of any shape is its numbers in a row.
    flat = net(jnp.ones(3), jnp.array([1.0, 2.0]))
    assert np.array_equal(net(jnp.ones(3), jnp.array([[1.0], [2.0]])), flat)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_mlp_formula(activation):
    net = MLP(3, 2, (5,), key=KEY, activation=activation, final_gain=1.0)
    x = jnp.array([0.5, -1.0, 2.0])
    first, last = net.layers
    hidden = ACTIVATIONS[activation](x @ first.weight + first.bias)
    np.testing.assert_allclose(net(x), hidden @ last.weight + last.bias, rtol=1e-14)


def test_residual_mlp_formula():
    net = ResidualMLP(3, 2, 4, 2, key=KEY, final_gain=1.0, activation="tanh")
    x = jnp.array([0.5, -1.0, 2.0])
    h = x @ net.first.weight
    for inner, outer in net.blocks:
        h = h + jnp.tanh(jnp.tanh(h) @ inner.weight) @ outer.weight
    np.testing.assert_allclose(net(x), jnp.tanh(h) @ net.last.weight, rtol=1e-13)
    assert len(ResidualMLP(3, 2, 4, 0, key=KEY).blocks) == 0


def test_linear_start():
    layer = Linear(100, 50, key=KEY, gain=0.5)
    assert 0.04 < np.abs(layer.weight).max() <= 0.05
    assert not layer.bias.any()


def test_unknown_activation():
    for net in (MLP(1, 1, key=KEY), ResidualMLP(1, 1, key=KEY)):
        with pytest.raises(ValueError, match="unknown activation 'rleu'; known: elu, gelu"):
            type(net)(1, 1, key=KEY, activation="rleu")


FREE = {"a": jnp.array([1.0, 2.0]), "b": jnp.array(3.0)}


def test_amortised_without_context_is_free():
    amortised = Amortised(FREE)
    assert amortised.net is None
    assert amortised(None) is amortised.free


def test_amortised_starts_near_its_free_parameters():
    amortised = Amortised(FREE, (2, 2), key=KEY)
    context = jax.random.normal(jax.random.key(1), (2, 2))
    out = amortised(context)
    assert jax.tree.structure(out) == jax.tree.structure(FREE)
    for leaf, free in zip(jax.tree.leaves(out), jax.tree.leaves(FREE), strict=True):
        assert leaf.shape == free.shape
        assert 0 < np.abs(leaf - free).max() < 0.5
    jacobian = jax.jacfwd(amortised)(context)
    for leaf in jax.tree.leaves(jacobian):
        assert (np.abs(leaf).reshape(-1, 4).max(1) > 0).all()


def test_amortised_keeps_the_dtype_of_its_parameters():
    amortised = Amortised(jax.tree.map(lambda a: a.astype(jnp.float32), FREE), (2,), key=KEY)
    out = amortised(jnp.ones(2, jnp.float64))
    assert {leaf.dtype for leaf in jax.tree.leaves(out)} == {jnp.dtype(jnp.float32)}


def test_amortised_refusals():
    with pytest.raises(ValueError, match="need a key"):
        Amortised(FREE, (2,))
    with pytest.raises(ValueError, match="pass context="):
        Amortised(FREE, (2,), key=KEY)(None)
