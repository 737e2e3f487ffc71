"""The four energies against the paper's formulas, written again here, and their integrals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg import targets
from thalweg.targets.catalogue.energies import log_wall


def w1(a):
    return np.sin(2 * np.pi * a / 4)


def w2(a):
    return 3 * np.exp(-0.5 * ((a - 1) / 0.6) ** 2)


def w3(a):
    return 3 / (1 + np.exp(-(a - 1) / 0.3))


def minus_log_of_sum(*squares):
    return -np.log(np.sum([np.exp(-0.5 * s**2) for s in squares], 0))


ENERGIES = {
    "u1": lambda a, b: (
        0.5 * ((np.hypot(a, b) - 2) / 0.4) ** 2 + minus_log_of_sum((a - 2) / 0.6, (a + 2) / 0.6)
    ),
    "u2": lambda a, b: 0.5 * ((b - w1(a)) / 0.4) ** 2,
    "u3": lambda a, b: minus_log_of_sum((b - w1(a)) / 0.35, (b - w1(a) + w2(a)) / 0.35),
    "u4": lambda a, b: minus_log_of_sum((b - w1(a)) / 0.4, (b - w1(a) + w3(a)) / 0.35),
}


def panels(edges, nodes=32):
    x, w = np.polynomial.legendre.leggauss(nodes)
    half = np.diff(edges)[:, None] / 2
    return (np.asarray(edges)[:-1, None] + half * (1 + x)).ravel(), (half * w).ravel()


@pytest.mark.parametrize("name", ENERGIES)
def test_inside_the_box_it_is_minus_the_papers_energy(name):
    z = np.random.default_rng(0).uniform(-4, 4, (500, 2))
    # Far from the modes the plain sum of exponentials underflows in this test's own formula.
    energy = ENERGIES[name](z[:, 0], z[:, 1])
    near = energy < 300
    log_p = jax.jit(jax.vmap(targets.get(name).log_density))(z)
    np.testing.assert_allclose(np.asarray(log_p)[near], -energy[near], rtol=1e-9, atol=1e-9)


def on_square(name, x):
    points = np.stack(np.meshgrid(x, x, indexing="ij"), -1)
    return np.exp(jax.jit(jax.vmap(jax.vmap(targets.get(name).log_density)))(points))


@pytest.mark.parametrize("name", ENERGIES)
def test_log_z_to_nine_digits(name):
    # Panels end at ±4, where the wall's second derivative jumps.
    x, w = panels([-5.5, -4.7, *np.linspace(-4, 4, 17), 4.7, 5.5])
    assert targets.get(name).log_z == pytest.approx(np.log(w @ on_square(name, x) @ w), abs=1e-9)


@pytest.mark.parametrize(
    ("name", "published"), [("u1", 1.8775), ("u2", 2.0821), ("u3", 2.6417), ("u4", 2.6846)]
)
def test_the_integral_over_the_box_alone_is_the_published_one(name, published):
    x, w = panels(np.linspace(-4, 4, 17))
    assert np.log(w @ on_square(name, x) @ w) == pytest.approx(published, abs=1e-4)


def test_log_z_of_u2_in_closed_form():
    flat = 8 + 0.1 * np.sqrt(2 * np.pi)
    exact = np.log(0.4 * np.sqrt(2 * np.pi) * flat)
    assert targets.get("u2").log_z == pytest.approx(exact, abs=1e-10)


def test_the_wall_is_zero_inside_and_has_continuous_slope():
    z = jnp.array([-4.2, -4.0, 0.0, 3.9, 4.0, 4.1])
    np.testing.assert_allclose(log_wall(z), [-2, 0, 0, 0, 0, -0.5], atol=1e-12)
    slope = jax.vmap(jax.grad(log_wall))(z)
    np.testing.assert_allclose(slope, [20, 0, 0, 0, 0, -10], atol=1e-9)


def test_the_modes_of_u1_are_its_maxima():
    u1 = targets.get("u1")
    slopes = jax.jit(jax.vmap(jax.grad(u1.log_density)))(u1.modes)
    np.testing.assert_allclose(slopes, 0, atol=1e-7)
    bends = jax.jit(jax.vmap(jax.hessian(u1.log_density)))(u1.modes)
    # Along the ring the first bend is of fourth order: the Hessian is singular at both modes.
    np.testing.assert_allclose(
        np.linalg.eigvalsh(bends), [[-1 / 0.4**2 - 1 / 0.6**2, 0]] * 2, atol=1e-6
    )


def test_far_away_nothing_overflows():
    for name in ENERGIES:
        both = jax.jit(jax.value_and_grad(targets.get(name).log_density))
        value, slope = both(np.array([1e6, -1e6]))
        assert np.isfinite(value)
        assert np.all(np.isfinite(slope))


@pytest.mark.parametrize("name", ENERGIES)
@pytest.mark.few(2)
def test_draws_have_the_stated_variances(name):
    """Sharp enough to see a proposal that is 5 % too narrow for its acceptance rule."""
    target = targets.get(name)
    n = 200_000
    x = np.asarray(jax.jit(target.sample, static_argnums=1)(jax.random.key(1), n))
    squares = (x - target.mean) ** 2
    error = squares.std(0) / np.sqrt(n)
    assert np.all(np.abs(squares.mean(0) - np.diag(target.covariance)) < 4 * error)
