"""Rounding of densities, measured in both precisions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import gammaln

from thalweg.diagnostics.rounding import measure, narrowest_type
from thalweg.diagnostics.thresholds import ROUNDING_MATTERS, ROUNDING_SPOILS
from thalweg.precision import computing_in
from thalweg.targets import Target
from thalweg.targets.evaluator import Evaluator
from thalweg.targets.traced import density_of

COUNTS = np.random.default_rng(0).poisson(1.3e6, 20)


def many_counts(x):
    """20 counts near 1.3e6, one rate on the log scale."""
    return jnp.sum(COUNTS * x[0] - jnp.exp(x[0]) - gammaln(COUNTS + 1.0))


def rounding_of(density, loc, scale, dim=1):
    """As it is found around N(loc, scale²)."""
    z = np.random.default_rng(1).normal(size=(256, dim))
    with computing_in("float32"):
        return measure(
            Evaluator(density), loc + scale * z, -0.5 * np.sum(z**2, 1), scale * np.eye(dim)
        )


def test_w3_sums_of_large_terms_matter_in_float32():
    found = rounding_of(many_counts, np.log(COUNTS.mean()), 2e-4)
    assert found.values > 0.1
    assert found.float64_helps
    assert found.noise("float32") > ROUNDING_SPOILS
    with computing_in("float64"):
        alone = measure(Evaluator(many_counts), np.full((256, 1), 14.0), np.zeros(256), np.eye(1))
    assert alone.noise("float64") < 1e-6


def test_w3_scales_that_float32_does_not_resolve_matter():
    found = rounding_of(lambda x: -0.5 * jnp.sum(((x - 1.0) / 1e-8) ** 2), 1.0, 1e-8, 2)
    assert found.values > 0.3
    assert found.float64_helps


@pytest.mark.parametrize("constant", [0.0, 1e3])
def test_w3_ordinary_densities_do_not_matter(constant):
    found = rounding_of(lambda x: constant - 0.5 * jnp.sum((x - 3) ** 2), 3.0, 1.0, 2)
    assert not found.in_float32
    assert found.noise("float32") < ROUNDING_MATTERS


def test_w3_a_large_constant_matters_where_it_rounds_what_differs():
    found = rounding_of(lambda x: 1e7 - 0.5 * jnp.sum(x**2), 0.0, 1.0)
    assert found.values > 0.2
    assert found.float64_helps


def test_w3_wrong_gradients_of_right_values_matter():
    @jax.custom_jvp
    def bowl(x):
        return -0.5 * jnp.sum(x**2)

    @bowl.defjvp
    def _(primals, tangents):
        (x,), (t,) = primals, tangents
        rough = x + 0.3 * jnp.sin(1e9 * x)  # another phase in each precision
        return bowl(x), -jnp.vdot(rough, t)

    found = rounding_of(bowl, 0.0, 1.0)
    assert found.values < ROUNDING_MATTERS
    assert found.slopes > 0.01


def test_w3_points_without_mass_do_not_count():
    """Far out the density is of another size, and rounded; draws there have no weight."""

    def cliff(x):
        return jnp.where(x[0] > 2.5, -1e9 - 1e8 * (x[0] - 2.5) ** 2, -0.5 * x[0] ** 2)

    assert not rounding_of(cliff, 0.0, 1.0).in_float32


def test_u_float16_is_found_inside_a_density():
    def half(x):
        return -0.5 * jnp.sum((x * 30).astype(jnp.float16) ** 2) / 900

    assert narrowest_type(half, 2) == "float16"
    assert narrowest_type(lambda x: -jnp.sum(x.astype(jnp.bfloat16) ** 2), 2) == "bfloat16"
    assert narrowest_type(lambda x: -jnp.sum(x**2), 2) == ""
    branch = lambda y: y[0].astype(jnp.float16)  # noqa: E731
    assert narrowest_type(lambda x: jax.lax.cond(x[0] > 0, half, branch, x) + x[1], 2) == "float16"
    # What is no function of the point may be of any type.
    data = jnp.ones(3, jnp.float16)
    assert narrowest_type(lambda x: -jnp.sum((x[0] - jnp.exp(data)) ** 2), 1) == ""


def test_u_float16_is_measured_though_both_precisions_agree():
    def half(x):
        return (1000 - 0.5 * jnp.sum(x**2)).astype(jnp.float16)

    found = rounding_of(half, 0.0, 1.0, 2)
    assert found.inside == "float16"
    assert found.rough > 0.05
    assert not found.float64_helps
    assert "rounded to float16 inside" in found.sentence("float32")
    assert "layers" not in found.sentence("float32")


def test_u_float16_of_small_values_is_harmless():
    found = rounding_of(lambda x: (-0.5 * jnp.sum(x**2)).astype(jnp.float16), 0.0, 1.0)
    assert found.inside == "float16"
    assert found.noise("float32") < ROUNDING_MATTERS


def test_densities_that_float64_breaks_are_measured_alone():
    weights = jnp.ones((), jnp.float32)

    def scanned(x):
        total, _ = jax.lax.scan(lambda c, xi: (c + xi**2, None), weights, x)
        return 1e7 - 0.5 * total

    found = rounding_of(scanned, 0.0, 1.0, 2)
    assert "TypeError" in found.why_not
    assert not found.float64_helps
    assert found.noise("float32") > ROUNDING_MATTERS
    assert found.sentence("float32").startswith("the log density is rounded to float32, for in")


def test_u_float16_values_take_the_type_of_the_point():
    target = Target("half", 1, lambda x: (-0.5 * x[0] ** 2).astype(jnp.float16))
    assert density_of(target)(jnp.ones(1)).dtype == jnp.float64
