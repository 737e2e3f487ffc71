"""Models with ODE solvers: logistic growth, beside its closed form and NUTS."""

import functools

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from inference.fits import BUDGET
from jax.experimental.ode import odeint
from numpyro.diagnostics import effective_sample_size
from numpyro.infer import MCMC, NUTS

from thalweg.inference import infer
from thalweg.precision import computing_in

TIMES = np.linspace(0.0, 5.0, 9)
SOME = np.random.default_rng(0).normal(size=TIMES.size)
SIZES = 10 / (1 + 19 * np.exp(-1.2 * TIMES)) * np.exp(0.1 * SOME)
GROWTH = {
    "parameters": {"rate": (), "most": (), "first": ()},
    "supports": {"rate": "positive", "most": "positive", "first": "positive"},
}


def by_odeint(rate, most, first):
    def slope(y, t):
        return rate * y * (1 - y / most)

    return odeint(slope, first, jnp.asarray(TIMES), rtol=1e-6, atol=1e-6)


def by_diffrax(rate, most, first, throw=True):
    return diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, y, args: rate * y * (1 - y / most)),
        diffrax.Tsit5(),
        TIMES[0],
        TIMES[-1],
        0.1,
        first,
        saveat=diffrax.SaveAt(ts=jnp.asarray(TIMES)),
        stepsize_controller=diffrax.PIDController(rtol=1e-5, atol=1e-6),
        throw=throw,
    ).ys


def exactly(rate, most, first):
    return most / (1 + (most / first - 1) * jnp.exp(-rate * TIMES))


def density(solve):
    def log_density(p):
        away = (jnp.log(solve(**p)) - jnp.log(jnp.asarray(SIZES))) / 0.1
        logs = jnp.array([jnp.log(p["rate"]), jnp.log(p["most"]) - 2, jnp.log(p["first"])])
        jacobian = sum(jnp.log(p[name]) for name in p)  # priors are of the logarithms
        return -0.5 * jnp.sum(away**2) - 0.5 * jnp.sum(logs**2) - jacobian

    return log_density


@pytest.mark.slow
@pytest.mark.parametrize("solve", [by_odeint, by_diffrax])
def test_t_ode_solvers_fit(solve):
    with computing_in("float32"):
        known = infer(density(exactly), **GROWTH, **BUDGET).summary()
        found = infer(density(solve), **GROWTH, **BUDGET)
    assert found.verdict != "reject"
    for name in GROWTH["parameters"]:
        away = found.summary()[name]["corrected mean"] - known[name]["corrected mean"]
        assert abs(away) < 0.1 * known[name]["corrected sd"]


def draws_of_nuts(log_density):
    """Two chains of 500 draws of each parameter, and what their effective sample size is."""

    def potential(logs):
        return -log_density({name: jnp.exp(z) for name, z in logs.items()}) - sum(logs.values())

    start = {name: jnp.log(jnp.full(2, value)) for name, value in FIRST.items()}
    chains = MCMC(
        NUTS(potential_fn=potential),
        num_warmup=300,
        num_samples=500,
        num_chains=2,
        chain_method="sequential",
        progress_bar=False,
    )
    chains.run(jax.random.key(0), init_params=start)
    draws = chains.get_samples(group_by_chain=True)
    return {name: (np.exp(z), effective_sample_size(np.exp(z))) for name, z in draws.items()}


FIRST = {"rate": 1.0, "most": 8.0, "first": 0.6}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("solve", "gently"),
    [(by_odeint, by_odeint), (by_diffrax, functools.partial(by_diffrax, throw=False))],
)
def test_t_ode_solvers_agree_with_nuts(solve, gently):
    """NUTS goes where a solver gives up, which must not end it."""
    with computing_in("float32"):
        posterior = infer(density(solve), **GROWTH, **BUDGET)
        chains = draws_of_nuts(density(gently))
    found = posterior.summary()
    for name, (draws, size) in chains.items():
        assert size > 100
        away = abs(found[name]["corrected mean"] - draws.mean())
        assert away < 3 * draws.std() / np.sqrt(size), (name, away)
