"""Every registered bijection keeps every promise of a bijection, in float64.

A new line in the registry is all that a new bijection needs to be tested here.
"""

import functools

import equinox as eqx
import jax
import numpy as np
import pytest

from contract import checks, probes
from contract.bijections import BIJECTIONS, make
from contract.names import BIJECTION_NAMES, NAMES_OF_COLUMNS
from thalweg.bijections import Chain, Inverse, Repeat

# Dimension and context: odd, one, even. Without a context there are also the stacks, d = 1 and 40.
CONDITIONAL = [(3, True), pytest.param(1, True, marks=pytest.mark.slow)]
SETTINGS = [*CONDITIONAL, pytest.param(2, False, marks=pytest.mark.slow)]
KINDS = {
    "moderate": {"std": 0.5},
    "extreme": {"std": 5.0},
    "tiny": {"std": 0.5, "shrink": 1e-6},
    "large": {"std": 0.5, "shrink": 8.0},
}


class Case:
    """One bijection in one setting; its records are computed when first needed."""

    def __init__(self, name, dim, conditional):
        self.name, self.dim = name, dim
        context_shape = probes.CONTEXT_SHAPE if conditional else None
        self.fresh = probes.flat(make(name, jax.random.key(dim), dim, context_shape))
        self._records = {}

    def record(self, kind="moderate"):
        if kind not in self._records:
            key, noise = jax.random.split(jax.random.key(len(self.name) + 100 * self.dim))
            bijection = probes.randomised(self.fresh, noise, **KINDS[kind])
            self._records[kind] = probes.examine(bijection, key)
        return self._records[kind]


case_of = functools.lru_cache(maxsize=len(SETTINGS))(Case)


def settings(which):
    return pytest.mark.parametrize(
        ("dim", "conditional"), which, ids=lambda v: str(v) if v is not True else "context"
    )


@pytest.mark.parametrize("kind", KINDS)
@settings(SETTINGS)
@pytest.mark.parametrize("name", BIJECTION_NAMES)
class TestOfEveryKind:
    def test_log_dets_are_those_of_the_jacobian(self, name, dim, conditional, kind):
        checks.check_log_det(case_of(name, dim, conditional).record(kind))

    def test_round_trips(self, name, dim, conditional, kind):
        checks.check_round_trips(case_of(name, dim, conditional).record(kind))

    def test_inverse_differentiates_implicitly(self, name, dim, conditional, kind):
        checks.check_implicit_gradients(case_of(name, dim, conditional).record(kind))


@settings(SETTINGS)
@pytest.mark.parametrize("name", BIJECTION_NAMES)
class TestInEverySetting:
    @pytest.mark.parametrize("kind", ["moderate", "extreme"])
    def test_prepare_changes_nothing(self, name, dim, conditional, kind):
        checks.check_prepare(case_of(name, dim, conditional).record(kind))

    @pytest.mark.parametrize("kind", ["moderate", "tiny"])
    def test_push_score(self, name, dim, conditional, kind):
        checks.check_push_score(case_of(name, dim, conditional).record(kind))

    def test_one_way_calls(self, name, dim, conditional):
        checks.check_one_way_calls(case_of(name, dim, conditional).record())

    def test_gradients_equal_finite_differences(self, name, dim, conditional):
        checks.check_finite_differences(case_of(name, dim, conditional).record())

    def test_gradient_modes_agree(self, name, dim, conditional):
        checks.check_gradient_modes(case_of(name, dim, conditional).record())

    @pytest.mark.few(8)
    def test_dtypes_and_shapes(self, name, dim, conditional):
        checks.check_dtypes(case_of(name, dim, conditional).fresh)


@settings(CONDITIONAL)
@pytest.mark.parametrize("name", BIJECTION_NAMES)
class TestContext:
    def test_every_moved_coordinate_depends_on_the_context(self, name, dim, conditional):
        """A map that was built without a context ignores the one it is given."""
        case = case_of(name, dim, conditional)
        if case.fresh.context_shape is not None:
            checks.check_context(case.record())
        else:
            checks.check_no_context(case.fresh, jax.random.key(1), probes.CONTEXT_SHAPE)

    def test_missing_context_is_named(self, name, dim, conditional):
        """A map that was built without a context needs none."""
        fresh = case_of(name, dim, conditional).fresh
        call = functools.partial(eqx.filter_eval_shape, fresh.forward_and_log_det)
        if fresh.context_shape is None:
            assert call(np.zeros(fresh.shape))[0].shape == fresh.shape
        else:
            with pytest.raises(ValueError, match="context"):
                call(np.zeros(fresh.shape))


@pytest.mark.parametrize("name", BIJECTION_NAMES)
@pytest.mark.few(2)
def test_jit_equals_eager(name):
    checks.check_eager(case_of(name, 3, True).record())


@pytest.mark.parametrize("name", BIJECTION_NAMES)
@pytest.mark.few(3)
def test_frozen_leaves(name):
    fresh = case_of(name, 3, True).fresh
    given = probes.inputs(fresh, jax.random.key(0), count=4)

    def loss(bijection):
        context = given["context"]
        axes = (0, None if context is None else 0)
        move = jax.vmap(bijection.forward_and_log_det, in_axes=axes)
        x, log_det = move(given["points"], context)
        return (x**2).sum() - log_det.sum()

    checks.check_frozen(fresh, loss)


@pytest.mark.parametrize("kind", ["moderate", "extreme"])
@pytest.mark.parametrize("dim", [1, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", BIJECTION_NAMES)
@pytest.mark.few(14)
def test_one_dimension_and_many(name, dim, kind):
    fresh = probes.flat(make(name, jax.random.key(40), dim))
    bijection = probes.randomised(fresh, jax.random.key(8), **KINDS[kind])
    record = probes.examine(bijection, jax.random.key(9), 6, probes.short_probe)
    checks.check_log_det(record)
    checks.check_round_trips(record)


# --- stacks --------------------------------------------------------------------------------------


# Slopes of these polynomials go with the square of what their coefficients are moved by.
MOVED = {"sum_of_squares_autoregressive": 0.1}


def _stack(name, depth, dim=5):
    stack = Repeat.create(lambda k: make(name, k, dim, None), jax.random.key(depth), depth)
    # The noise shrinks with depth: what is tested is the sum of K terms, not a map so badly
    # conditioned that its Jacobian has no accurate determinant.
    return probes.randomised(stack, jax.random.key(depth + 1), MOVED.get(name, 0.5) / depth**0.5)


@pytest.mark.parametrize(
    "depth", [*(pytest.param(k, marks=pytest.mark.slow) for k in (1, 2, 8)), 32]
)
@pytest.mark.parametrize("name", BIJECTION_NAMES)
@pytest.mark.few(3)
def test_repeated_stacks(name, depth):
    stack = _stack(name, depth)
    assert len(stack) == depth
    record = probes.examine(probes.flat(stack), jax.random.key(3), 6, probes.short_probe)
    checks.check_log_det(record)
    checks.check_round_trips(record)


@pytest.mark.parametrize("name", NAMES_OF_COLUMNS)
@pytest.mark.few(2)
def test_events_as_columns(name):
    """Results for many events at once are those for each."""
    layer = make(name, jax.random.key(0), 3)
    bijection = probes.randomised(Chain([layer, Inverse(layer)]), jax.random.key(1), 0.3)
    z = jax.random.normal(jax.random.key(2), (5, 3))

    @probes.jit
    def both(bijection, z):
        calls = (bijection.forward_and_log_det, bijection.inverse_and_log_det)
        found = [(call(z.T), jax.vmap(call)(z)) for call in calls]
        return [
            *found,
            (bijection.push_score(z.T, -z.T), jax.vmap(bijection.push_score)(z, -z)),
        ]

    for columns, rows in both(bijection, z):
        for column, row in zip(columns, rows, strict=True):
            expected = np.moveaxis(np.asarray(row), 0, -1)
            found = np.broadcast_to(column, expected.shape)
            np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", ["full_affine", "planar", "affine_coupling"])
@pytest.mark.few(1)
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


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_any_list_composes(seed):
    """Bijections of events of one size, one after another in a drawn order, are a bijection."""
    names = list(np.random.default_rng(seed).permutation(sorted(BIJECTIONS)))
    keys = jax.random.split(jax.random.key(5), len(names))
    maps = [probes.flat(make(n, k, 3)) for n, k in zip(names, keys, strict=True)]
    sizes = sorted({m.shape for m in maps})
    # The most of any size are maps of vectors; in turn with the seed there is one of images.
    for shape in ((3,), [size for size in sizes if size != (3,)][seed]):
        chain = Chain([m for m in maps if m.shape == shape][:4])
        chain = probes.randomised(chain, jax.random.key(6), 0.2)
        record = probes.examine(chain, jax.random.key(7), 6, probes.short_probe)
        checks.check_log_det(record)
        checks.check_round_trips(record)
