"""Every recipe gives a normalised density that its draws follow.

A new recipe is tested here with no new code.
"""

import os
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from contract import checks, flow_checks, probes
from contract.names import RECIPE_NAMES
from contract.test_float32 import small_options
from thalweg import flows
from thalweg.tree import split_trainable

CONTEXT_DIM = 3
# How far parameters are moved from where a flow starts, where 0.3 makes tails and ridges that a
# grid cannot hold.
MOVED = {"sos": 0.05}


def built(name, dim, *, conditional=False, std=0.3, **options):
    context_dim = CONTEXT_DIM if conditional else None
    options = {**small_options(name), **options}
    flow = flows.build(name, jax.random.key(dim), dim, context_dim, **options)
    return probes.randomised(flow, jax.random.key(7), std)


# --- densities and draws -------------------------------------------------------------------------


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((*name.values, *setting), marks=[*name.marks, *marks])
        for name in RECIPE_NAMES
        for setting, marks in (
            ((2, True), ()),
            ((1, False), (pytest.mark.slow,)),
            ((2, False), (pytest.mark.slow,)),
        )
    ],
    ids=lambda p: f"{p[0]}-{p[1]}{'-context' if p[2] else ''}",
)
def record(request):
    name, dim, conditional = request.param
    flow = built(name, dim, conditional=conditional, std=MOVED.get(name, 0.3))
    context = jnp.array([0.5, -1.0, 2.0]) if conditional else None
    out = flow_checks.study(flow, jax.random.key(11), context)
    return {**out, "flow": flow, "context": context}


@pytest.mark.few(7)
def test_density_of_draws(record):
    flow_checks.check_same_density(record)


@pytest.mark.few(7)
def test_density_integrates_to_one(record):
    flow_checks.check_normalised(record)


@pytest.mark.few(7)
def test_draws_follow_the_density(record):
    flow_checks.check_samples_follow_density(record)


@pytest.mark.few(7)
def test_expectations_equal_quadrature(record):
    flow_checks.check_expectation(record)


@pytest.mark.few(1)
def test_log_prob_is_deterministic(record):
    again = flow_checks.log_prob_program(record["flow"], record["grid"], record["context"])
    assert np.array_equal(again, record["grid_log_prob"])


# --- dimensions, gradients, contexts -------------------------------------------------------------


@probes.jit
def _gradients(flow, x, context):
    def total(model, points, c):
        return jnp.sum(model.log_prob(points, c))

    by_flow = eqx.filter_grad(total)(flow, x, context)
    by_point = jax.grad(total, argnums=1)(flow, x, context)
    if context is None:
        return by_flow, by_point, None, None
    draw = jax.jacfwd(lambda c: flow.sample(jax.random.key(0), (), c))(context[0])
    return by_flow, by_point, jax.grad(total, argnums=2)(flow, x, context), draw


@pytest.mark.parametrize(
    ("dim", "conditional"), [(1, True), pytest.param(3, True, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("name", RECIPE_NAMES)
@pytest.mark.few(5)
def test_gradients_are_finite_in_any_dimension(name, dim, conditional):
    flow = built(name, dim, conditional=conditional)
    x = 3 * jax.random.normal(jax.random.key(1), (8, dim))
    x = flow_checks.in_support(flow, x.at[0].multiply(30.0))  # a tail
    context = jax.random.normal(jax.random.key(2), (8, CONTEXT_DIM)) if conditional else None
    by_flow, by_point, by_context, draw = _gradients(flow, x, context)
    for leaf in jax.tree.leaves((by_flow, by_point, by_context, draw)):
        assert np.isfinite(leaf).all()
    assert (np.abs(by_point).max(1) > 0).all()
    # No recipe has a parameter that does nothing.
    trainable = split_trainable(by_flow)[0]
    assert any(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(trainable) if leaf.size)
    if conditional:
        assert (np.abs(by_context).max(1) > 0).all()
        assert (np.abs(draw).max(1) > 1e-8).all(), "a coordinate of the draw ignores the context"


@pytest.mark.parametrize("name", RECIPE_NAMES)
@pytest.mark.few(2)
def test_push_score_is_the_score_of_the_density(name):
    flow = built(name, 3)
    z = flow.base.sample(jax.random.key(1), (8,))

    @probes.jit
    def both(flow, z):
        x, log_q, score = flow.push_score(z)
        gradient = jax.grad(lambda p: jnp.sum(flow.log_prob(p)))(x)
        return log_q, flow.log_prob(x), score, gradient

    log_q, log_prob, score, gradient = both(flow, z)
    np.testing.assert_allclose(log_q, log_prob, atol=1e-8)
    np.testing.assert_allclose(score, gradient, rtol=1e-7, atol=1e-7 * np.abs(gradient).max())


# --- batches -------------------------------------------------------------------------------------

BATCHES = [(), (4,), (4, 2), (0,)]


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("name", RECIPE_NAMES)
@pytest.mark.few(2)
def test_batch_shapes(name, conditional):
    """Shapes by tracing alone; values of batches are compared in the tests below."""
    flow = built(name, 3, conditional=conditional)
    key = jax.random.key(0)
    for batch in BATCHES:
        x = jax.ShapeDtypeStruct((*batch, 3), jnp.float64)
        contexts = [None]
        if conditional:
            shapes = {(), batch, batch[1:]}
            contexts = [jax.ShapeDtypeStruct((*s, CONTEXT_DIM), jnp.float64) for s in shapes]
        for context in contexts:
            log_prob = jax.eval_shape(flow.log_prob, x, context)
            draw = jax.eval_shape(lambda k, c, s=batch: flow.sample(k, s, c), key, context)
            drawn, log_q = jax.eval_shape(
                lambda k, c, s=batch: flow.sample_and_log_prob(k, s, c), key, context
            )
            assert log_prob.shape == log_q.shape == batch
            assert draw.shape == drawn.shape == (*batch, 3)


@pytest.mark.parametrize("name", RECIPE_NAMES)
@pytest.mark.few(2)
def test_empty_batches_run(name):
    flow = built(name, 3, conditional=True)
    context = jnp.zeros(CONTEXT_DIM)
    assert flow.log_prob(jnp.zeros((0, 3)), context).shape == (0,)
    assert flow.sample(jax.random.key(0), (0,), context).shape == (0, 3)


def test_batches_hold_the_numbers_of_their_events():
    flow_checks.check_batches(built("planar_radial", 2), jax.random.key(0))


def test_batches_of_contexts():
    """Each event meets its own context; contexts broadcast as in NumPy."""
    flow = built("planar", 2, conditional=True)
    x = jax.random.normal(jax.random.key(0), (4, 3, 2))
    context = jax.random.normal(jax.random.key(1), (3, CONTEXT_DIM))
    batch = flow.log_prob(x, context)
    assert batch.shape == (4, 3)
    for i, j in ((0, 0), (1, 2), (3, 1)):
        alone = flow.log_prob(x[i, j], context[j])
        np.testing.assert_allclose(batch[i, j], alone, rtol=1e-10)
    # One point under several contexts, and draws that lead the contexts.
    np.testing.assert_allclose(
        flow.log_prob(x[0, 0], context)[2], flow.log_prob(x[0, 0], context[2]), rtol=1e-10
    )
    draws, log_q = flow.sample_and_log_prob(jax.random.key(2), (5, 3), context)
    assert draws.shape == (5, 3, 2)
    np.testing.assert_allclose(flow.log_prob(draws, context), log_q, atol=1e-8)
    assert flow.sample(jax.random.key(2), (), context).shape == (3, 2)


# --- compiled programs ---------------------------------------------------------------------------


def _hlo(function, *arguments):
    return jax.jit(function).lower(*arguments).compile().as_text()


def _logarithms(text):
    return text.count(" log(") + text.count(" log-plus-one(")


def test_draws_compute_no_log_determinant():
    """By the law of the unconscious statistician neither draws nor expectations need one."""
    fresh = flows.build("planar", jax.random.key(0), 2, layers=4)
    # Prepared, so that the logarithms of the constraint's softplus are out of the way.
    flow = eqx.tree_at(lambda f: f.bijection, fresh, fresh.bijection.prepare())
    key = jax.random.key(1)
    assert _logarithms(_hlo(lambda z: flow.bijection.forward(z), jnp.zeros(2))) == 0
    assert _logarithms(_hlo(lambda z: flow.bijection.forward_and_log_det(z), jnp.zeros(2))) > 0
    # Normal draws use logarithms of their own; the flow adds none to them.
    own = _logarithms(_hlo(lambda k: flow.base.sample(k, (7,)), key))
    assert _logarithms(_hlo(lambda k: flow.sample(k, (7,)), key)) == own
    assert _logarithms(_hlo(lambda k: flow.expectation(jnp.sin, k, 7), key)) == own
    assert _logarithms(_hlo(lambda k: flow.sample_and_log_prob(k, (7,)), key)) > own


@pytest.mark.parametrize(
    "name", [n for n in RECIPE_NAMES if "layers" in flows.find(*n.values).options]
)
@pytest.mark.few(2)
def test_depth_does_not_grow_the_program(name):
    sizes = []
    for layers in (4, 80):
        flow = built(name, 3, layers=layers)
        arrays, static = eqx.partition(flow, eqx.is_array)

        def both(a, x, key, static=static):
            model = eqx.combine(a, static)
            return model.log_prob(x), model.sample_and_log_prob(key, (4,))

        program = jax.make_jaxpr(both)(arrays, jnp.zeros((4, 3)), jax.random.key(0))
        sizes.append(str(program).count(" = "))  # equations: lines wrap with the digits
    assert sizes[0] == sizes[1]


def test_depth_does_not_grow_the_compiled_program():
    lines = []
    for layers in (2, 80):
        flow = built("planar", 3, layers=layers)
        lines.append(len(_hlo(lambda x, f=flow: f.log_prob(x), jnp.zeros((4, 3))).splitlines()))
    assert lines[1] <= 1.05 * lines[0]


# --- package and names ---------------------------------------------------------------------------


def test_importing_changes_no_global_state():
    code = (
        "import jax; before = dict(jax.config.values);"
        "import thalweg.flows, thalweg.bijections, thalweg.nets, thalweg.distributions;"
        "after = dict(jax.config.values);"
        "assert before == after, {k for k in before if before[k] != after.get(k)};"
        "assert not jax.config.jax_enable_x64"
    )
    environment = {k: v for k, v in os.environ.items() if k != "JAX_ENABLE_X64"}
    environment["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", RECIPE_NAMES)
@pytest.mark.few(5)
def test_same_key_gives_the_same_flow(name):
    one, other = (built(name, 3) for _ in range(2))
    assert eqx.tree_equal(one, other)


@pytest.mark.parametrize("name", RECIPE_NAMES)
@pytest.mark.few(2)
def test_frozen_leaves(name):
    flow = built(name, 3)
    x = jax.random.normal(jax.random.key(0), (4, 3))
    checks.check_frozen(flow, lambda model: jnp.sum(model.log_prob(x)))
