"""Faults of a target that no flow mends: mass that runs away, and steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thalweg as tw
from thalweg.diagnostics.draws import Draws
from thalweg.diagnostics.runaway import find_runaways, last_that_stays
from thalweg.diagnostics.target_faults import faults, find_steps
from thalweg.targets import Target, from_function

X = jnp.array([-2.0, -1.5, -1.0, -0.5, 0.6, 1.0, 1.4, 2.0])
Y = X > 0  # separated at 0
SCORES = jnp.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
ERRORS = jnp.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])


def separated(b):
    eta = b[0] + b[1] * X
    return jnp.sum(jnp.where(Y, eta, 0.0) - jnp.logaddexp(0.0, eta))


def separated_with_a_prior(b):
    return separated(b) - 0.5 * jnp.sum((b / 2.5) ** 2)


def schools(u):
    """Centred, with a flat prior of ln τ: the marginal tends to a constant where τ → 0."""
    mu, log_tau, theta = u[0], u[1], u[2:]
    pooled = -0.5 * jnp.sum(((theta - mu) / jnp.exp(log_tau)) ** 2) - 8 * log_tau
    return pooled - 0.5 * jnp.sum(((SCORES - theta) / ERRORS) ** 2)


def schools_with_a_flat_tau(u):
    """Flat in τ itself, which is proper: the curvature around θ = μ must be counted."""
    return schools(u) + u[1]


def cauchy(x):
    return -jnp.sum(jnp.log1p(x**2))


def half_cauchy_scale(u):
    """A half-Cauchy scale on its log scale, and a normal of that scale."""
    scale = jnp.exp(u[0])
    return u[0] - jnp.log1p(scale**2) - 0.5 * (u[1] / scale) ** 2 - u[0]


def funnel(u):
    return -0.5 * (u[0] / 3) ** 2 - 0.5 * jnp.sum(u[1:] ** 2 * jnp.exp(-u[0])) - 2 * u[0]


def wide(x):
    return -0.5 * jnp.sum((x / 1e4) ** 2)


def stairs(x):
    return -0.5 * (jnp.floor(3 * x[0]) / 3 - 0.2) ** 2 - 0.5 * x[1] ** 2


def rounded_count(x):
    return -0.5 * (jnp.round(jnp.exp(x[0])) - 3) ** 2 - 0.5 * jnp.sum(x**2)


def kinked(x):
    return -jnp.abs(x[0]) - 0.5 * x[1] ** 2


def banana(x):
    return -0.5 * (x[0] / 2) ** 2 - 0.5 * ((x[1] - x[0] ** 2) / 0.01) ** 2


def edge(x):
    return jnp.where(x[0] > 0, -x[0], -jnp.inf) - 0.5 * x[1] ** 2


def draws_of(log_density, dim, scale=1.0):
    """Draws of a normal that was put there, with the density at them, in float32."""
    x = scale * np.random.default_rng(0).normal(size=(2000, dim)).astype(np.float32)
    log_p = np.asarray(jax.vmap(log_density)(jnp.asarray(x)), np.float32)
    return Draws(x, np.zeros_like(log_p), log_p)


@pytest.mark.parametrize(
    ("log_density", "dim", "scale", "expected"),
    [
        # The slope towards +∞, and the intercept both ways, for the slope can follow it.
        (separated, 2, 3.0, [(1, 1), (0, 1), (0, -1)]),
        (separated_with_a_prior, 2, 2.0, []),
        (schools, 10, 1.0, [(1, -1)]),  # ln τ, towards −∞
        (schools_with_a_flat_tau, 10, 1.0, []),
        (cauchy, 2, 1.0, []),
        (half_cauchy_scale, 2, 1.0, []),
        (funnel, 5, 1.0, []),
        (wide, 2, 1e4, []),
    ],
)
@pytest.mark.few(3)
def test_u_improper_posterior_names_the_parameter_along_which_mass_runs_away(
    log_density, dim, scale, expected
):
    found = find_runaways(log_density, draws_of(log_density, dim, scale))
    assert [(one.coordinate, one.sign) for one in found] == expected


def test_u_improper_posterior_is_described_by_names_and_values():
    def hierarchy(p):
        """Non-centred, with a flat prior of ln τ."""
        theta = p["mu"] + p["tau"] * p["z"]
        return (
            -0.5 * jnp.sum(((SCORES - theta) / ERRORS) ** 2)
            - 0.5 * jnp.sum(p["z"] ** 2)
            - jnp.log(p["tau"])
        )

    target = from_function(
        hierarchy, parameters={"mu": (), "tau": (), "z": (8,)}, supports={"tau": "positive"}
    )
    sentence, *others = faults(target, draws_of(target.log_density, 10))
    assert others == []
    assert "seems improper: its mass runs away along tau (towards " in sentence
    assert "−∞ on the unconstrained scale" in sentence
    assert "prior" in sentence


@pytest.mark.parametrize(
    ("values", "sd", "stays"),
    [
        (np.zeros(12), 1.0, 11),
        (-0.9 * np.log(2.0 ** np.arange(12)), 1.0, 11),
        (-1.1 * np.log(2.0 ** np.arange(12)), 1.0, None),  # a Student law of 0.1 degrees
        (np.r_[np.zeros(8), np.full(4, np.nan)], 1.0, 7),  # overflow ends the ray
        (np.r_[np.zeros(8), np.full(4, -np.inf)], 1.0, None),  # an edge: no mass beyond
        (np.r_[np.zeros(4), np.full(8, np.nan)], 1.0, None),  # not far enough to tell
        (np.zeros(12), 1e4, None),
    ],
)
def test_a_ray_shows_mass_that_runs_away_only_where_it_does_not_fall(values, sd, stays):
    assert last_that_stays(values, 2.0 ** np.arange(12), sd) == stays


@pytest.mark.parametrize(
    ("log_density", "flat", "jumping"),
    [
        (stairs, [0], []),
        (rounded_count, [], [0]),
        (kinked, [], []),
        (banana, [], []),
        (edge, [], []),
        (separated, [], []),
    ],
)
def test_u_piecewise_constant_parameter_is_named(log_density, flat, jumping):
    assert find_steps(log_density, draws_of(log_density, 2)) == (flat, jumping)


def test_u_piecewise_constant_parameter_is_described_in_words():
    target = Target("stairs", 2, stairs, parameter_names=("level", "x"))
    (sentence,) = faults(target, draws_of(stairs, 2))
    assert "is flat in steps along level: its gradient is zero" in sentence


def test_rounding_is_not_taken_for_steps():
    def coarse(x):
        return -0.5 * jnp.sum(x**2) + jnp.asarray(3e6, x.dtype)

    assert find_steps(coarse, draws_of(coarse, 2)) == ([], [])


@pytest.mark.slow
def test_u_improper_posterior_gives_its_reason_first():
    options = {"flow": "planar", "layers": 2, "steps": 300, "restarts": 2}
    posterior = tw.infer(
        Target("separated", 2, separated, parameter_names=("intercept", "slope")),
        progress=False,
        **options,
    )
    assert posterior.verdict == "reject"
    assert "improper: its mass runs away along slope (towards +∞)" in posterior.reasons[0]
