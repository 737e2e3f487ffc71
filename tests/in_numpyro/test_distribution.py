"""Flows as distributions and transforms of NumPyro: the same numbers, both ways, any batch."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg import flows
from thalweg.bijections import TriangularAffine
from thalweg.distributions import Flow, StandardNormal, StudentT
from thalweg.numpyro import FlowDistribution, FlowTransform
from thalweg.objectives import ReverseKL
from thalweg.tree import split_trainable

OPTIONS = {
    "gaussian": {},
    "iaf": {"layers": 1, "hidden": (8,)},
    "neural_spline_coupling": {"layers": 2, "hidden": (8,), "bins": 4},
    "planar": {"layers": 2},
    "real_nvp": {"layers": 2, "hidden": (8,)},
}
SLOW_TO_COMPILE = ("iaf", "neural_spline_coupling")
RECIPES = [
    pytest.param(name, marks=pytest.mark.slow if name in SLOW_TO_COMPILE else ())
    for name in OPTIONS
]


def bent(name, dim=3):
    """A flow well away from the identity."""
    flow = flows.build(name, jax.random.key(0), dim, **OPTIONS[name])
    trained, fixed = split_trainable(flow)
    leaves, structure = jax.tree.flatten(trained)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    moved = [
        leaf + 0.2 * jax.random.normal(key, leaf.shape)
        for leaf, key in zip(leaves, keys, strict=True)
    ]
    return eqx.combine(jax.tree.unflatten(structure, moved), fixed)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.few(1)
def test_a_transform_goes_there_and_back_with_the_determinant_of_its_jacobian(name):
    transform = FlowTransform(bent(name).bijection)
    z = jax.random.normal(jax.random.key(2), (2, 4, 3))
    x = transform(z)
    np.testing.assert_allclose(transform._inverse(x), z, atol=1e-8)
    log_det = transform.log_abs_det_jacobian(z, x)
    jacobians = jax.jit(jax.vmap(jax.jacobian(transform)))(z.reshape(8, 3))
    np.testing.assert_allclose(log_det.ravel(), jnp.linalg.slogdet(jacobians)[1], atol=1e-10)
    same, again = transform.call_with_intermediates(z)
    np.testing.assert_allclose(same, x, atol=1e-12)
    np.testing.assert_allclose(again, log_det, atol=1e-12)
    np.testing.assert_allclose(transform.inv(x), z, atol=1e-8)


@pytest.mark.parametrize("name", RECIPES)
def test_densities_are_those_of_the_flow(name):
    flow = bent(name)
    mine = FlowDistribution(flow)
    assert mine.event_shape == (3,) and mine.batch_shape == ()
    x, extra = mine.sample_with_intermediates(jax.random.key(3), (2, 5))
    assert x.shape == (2, 5, 3)
    np.testing.assert_allclose(mine.log_prob(x), flow.log_prob(x), atol=1e-12)
    np.testing.assert_allclose(mine.log_prob(x, extra), flow.log_prob(x), atol=1e-8)
    np.testing.assert_array_equal(mine.sample(jax.random.key(3), (2, 5)), x)
    wide = mine.expand_by((7,))
    y, extra = wide.sample_with_intermediates(jax.random.key(3))
    assert y.shape == (7, 3)
    np.testing.assert_allclose(wide.log_prob(y, extra), flow.log_prob(y), atol=1e-8)


@pytest.mark.parametrize("name", ["planar", "real_nvp"])
def test_path_gradients_are_those_of_the_objective(name):
    flow = bent(name)
    trained, fixed = split_trainable(flow)
    key = jax.random.key(4)

    def log_density(x):
        return -jnp.sum(x**4) + x[0] * x[1]

    def surrogate(leaves):
        mine = FlowDistribution(eqx.combine(leaves, fixed), "path")
        x, extra = mine.sample_with_intermediates(key, (64,))
        return jnp.mean(mine.log_prob(x, extra) - jax.vmap(log_density)(x))

    def objective(leaves):
        goal = ReverseKL(log_density, 64, "path")
        return goal(eqx.combine(leaves, fixed), key, jnp.asarray(0)).surrogate

    ours, theirs = (jax.jit(jax.grad(f))(trained) for f in (surrogate, objective))
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)
    x, extra = jax.jit(FlowDistribution(flow, "path").sample_with_intermediates, static_argnums=1)(
        key, (64,)
    )
    np.testing.assert_allclose(extra[0], flow.log_prob(x), atol=1e-8)


def test_they_pass_through_jit_and_vmap():
    flow = bent("real_nvp")
    x = jax.random.normal(jax.random.key(5), (6, 3))
    mine = jax.jit(lambda d: d)(FlowDistribution(flow, "path"))
    assert mine.gradient == "path"
    np.testing.assert_allclose(mine.log_prob(x), flow.log_prob(x), atol=1e-12)
    transform = jax.jit(lambda t: t)(FlowTransform(flow.bijection))
    assert transform == FlowTransform(flow.bijection)
    assert transform != FlowTransform(bent("planar").bijection)
    np.testing.assert_allclose(jax.vmap(transform)(x), transform(x), atol=1e-12)


def test_other_bases_do_too():
    base = StudentT(4.0, 3)
    flow = Flow(base, TriangularAffine(3))
    x = FlowDistribution(flow).sample(jax.random.key(6), (10,))
    np.testing.assert_allclose(FlowDistribution(base).log_prob(x), base.log_prob(x), atol=1e-12)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: FlowDistribution(StandardNormal((2,)), "both"), "'path' or 'total', got 'both'"),
        (lambda: FlowDistribution(StandardNormal((2,)), "path"), "need a Flow, got StandardNormal"),
        (lambda: FlowDistribution(StandardNormal((2, 2))), r"got one on \(2, 2\), context None"),
        (
            lambda: FlowTransform(flows.build("planar", jax.random.key(0), 2, 1).bijection),
            r"without a context, got one on \(2,\), context \(1,\)",
        ),
    ],
)
def test_impossible_flows_are_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()
