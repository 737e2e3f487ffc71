"""Every registered bijection keeps every promise of a bijection, in float64.

A new line in the registry is all that a new bijection needs to be tested here.
"""

import jax
import numpy as np
import pytest

from contract import checks, probes
from thalweg.bijections import Chain, Repeat
from thalweg.bijections.registry import BIJECTIONS, make

# Dimension and context: one, even, odd, with and without what conditions them.
SETTINGS = [(1, True), (2, False), (3, True)]
KINDS = {
    "moderate": {"std": 0.5},
    "extreme": {"std": 5.0},
    "tiny": {"std": 0.5, "shrink": 1e-6},
    "large": {"std": 0.5, "shrink": 8.0},
}


class Case:
    """One bijection in one setting; its records are worked out when first asked for."""

    def __init__(self, name, dim, conditional):
        context_shape = probes.CONTEXT_SHAPE if conditional else None
        self.name, self.dim = name, dim
        self.fresh = make(name, jax.random.key(dim), dim, context_shape)
        self._records = {}

    def record(self, kind="moderate"):
        if kind not in self._records:
            key, noise = jax.random.split(jax.random.key(len(self.name) + 100 * self.dim))
            bijection = probes.randomised(self.fresh, noise, **KINDS[kind])
            self._records[kind] = probes.examine(bijection, key)
        return self._records[kind]


@pytest.fixture(
    scope="module",
    params=[(name, *setting) for name in sorted(BIJECTIONS) for setting in SETTINGS],
    ids=lambda p: f"{p[0]}-{p[1]}{'-context' if p[2] else ''}",
)
def case(request):
    return Case(*request.param)


@pytest.mark.parametrize("kind", KINDS)
def test_log_dets_are_those_of_the_jacobian(case, kind):
    checks.check_log_det(case.record(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_round_trips(case, kind):
    checks.check_round_trips(case.record(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_inverse_differentiates_implicitly(case, kind):
    checks.check_implicit_gradients(case.record(kind))


@pytest.mark.parametrize("kind", ["moderate", "extreme"])
def test_prepare_changes_nothing(case, kind):
    checks.check_prepare(case.record(kind))


@pytest.mark.parametrize("kind", ["moderate", "tiny"])
def test_push_score(case, kind):
    checks.check_push_score(case.record(kind))


def test_one_way_calls(case):
    checks.check_one_way_calls(case.record())


def test_gradients_equal_finite_differences(case):
    checks.check_finite_differences(case.record())


def test_gradient_modes_agree(case):
    checks.check_gradient_modes(case.record())


def test_every_moved_coordinate_depends_on_the_context(case):
    if case.fresh.context_shape is None:
        pytest.skip("takes no context")
    checks.check_context(case.record())


def test_jit_equals_eager(case):
    if case.dim != 2:
        pytest.skip("one dimension is enough")
    checks.check_eager(case.record())


def test_dtypes_and_shapes(case):
    checks.check_dtypes(case.fresh)


def test_frozen_leaves(case):
    given = probes.inputs(case.fresh, jax.random.key(0), count=4)
    if case.dim != 3:
        pytest.skip("one dimension is enough")

    def loss(bijection):
        context = given["context"]
        points = given["points"]
        axes = (0, None if context is None else 0)
        x, log_det = jax.vmap(bijection.forward_and_log_det, in_axes=axes)(points, context)
        return (x**2).sum() - log_det.sum()

    checks.check_frozen(case.fresh, loss)


def test_missing_context_is_named(case):
    if case.fresh.context_shape is None:
        pytest.skip("takes no context")
    with pytest.raises(ValueError, match="context"):
        case.fresh.forward_and_log_det(np.zeros(case.fresh.shape))


@pytest.mark.parametrize("kind", ["moderate", "extreme"])
@pytest.mark.parametrize("dim", [5, 40])
@pytest.mark.parametrize("name", sorted(BIJECTIONS))
def test_more_dimensions(name, dim, kind):
    fresh = make(name, jax.random.key(dim), dim)
    bijection = probes.randomised(fresh, jax.random.key(8), **KINDS[kind])
    record = probes.examine(bijection, jax.random.key(9), 6, probes.short_probe)
    checks.check_log_det(record)
    checks.check_round_trips(record)


# --- stacks --------------------------------------------------------------------------------------


def _stack(name, depth, dim=3):
    stack = Repeat.create(lambda k: make(name, k, dim, None), jax.random.key(depth), depth)
    # The noise shrinks with depth: what is tested is the sum of K terms, not a map so badly
    # conditioned that its Jacobian has no accurate determinant.
    return probes.randomised(stack, jax.random.key(depth + 1), 0.5 / depth**0.5)


@pytest.mark.parametrize("name", sorted(BIJECTIONS))
@pytest.mark.parametrize(
    "depth",
    [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(8, marks=pytest.mark.slow), 32],
)
def test_repeated_stacks(name, depth):
    stack = _stack(name, depth)
    assert len(stack) == depth
    record = probes.examine(stack, jax.random.key(3), 6, probes.short_probe)
    checks.check_log_det(record)
    checks.check_round_trips(record)


@pytest.mark.parametrize("name", ["planar", "affine_coupling", "full_affine"])
def test_repeat_equals_chain_of_its_layers(name):
    keys = jax.random.split(jax.random.key(0), 8)
    noisy = [probes.randomised(make(name, k, 3), k, 0.3) for k in keys]
    z = jax.random.normal(jax.random.key(1), (3,))

    @probes.jit
    def both(chain, repeat, z):
        score = 2 * z
        return [
            (m.forward_and_log_det(z), m.inverse_and_log_det(z), m.push_score(z, score))
            for m in (chain, repeat)
        ]

    one, other = both(Chain(noisy), Repeat.stack(noisy), z)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def test_any_list_composes():
    """All bijections of the registry one after another, in a drawn order, are a bijection."""
    names = list(np.random.default_rng(0).permutation(sorted(BIJECTIONS)))
    keys = jax.random.split(jax.random.key(5), len(names))
    chain = Chain([make(n, k, 3) for n, k in zip(names, keys, strict=True)])
    chain = probes.randomised(chain, jax.random.key(6), 0.2)
    record = probes.examine(chain, jax.random.key(7), 6, probes.short_probe)
    checks.check_log_det(record)
    checks.check_round_trips(record)
