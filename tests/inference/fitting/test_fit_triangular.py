"""The fit of triangular maps: gradients, exactness within the family, work, and failures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from inference.triangular_maps import some_map

from thalweg.bijections.triangular import polynomials
from thalweg.distributions import Flow, StandardNormal
from thalweg.gaussians import Gaussian
from thalweg.inference.fitting import fit_triangular as module
from thalweg.inference.fitting.fit_triangular import _look, _Noise, _path, fit_triangular
from thalweg.inference.fitting.lattice import lattice_noise
from thalweg.precision import computing_in
from thalweg.progress import Silent
from thalweg.targets.evaluator import Evaluator
from thalweg.training import TimeLimit


def image_of(made):
    """The log density of a map, less a constant, in JAX."""
    flow = made.as_flow(Flow(StandardNormal((made.frame.loc.size,)), made.frame.as_bijection()))
    return lambda x: (
        flow.bijection.inverse_and_log_det(x)[1] - 0.5 * jnp.sum(flow.bijection.inverse(x) ** 2)
    )


def kl_of(found, log_density, draws=4000):
    """KL (nats) by the spread of log weights of fresh draws."""
    x, log_q = found.draw(np.random.default_rng(9), draws)
    log_w = np.asarray(jax.vmap(log_density)(jnp.asarray(x))) - log_q
    return float(np.log(np.mean(np.exp(log_w - log_w.mean()))))


def fit(log_density, frame, **options):
    density = Evaluator(log_density)
    found = fit_triangular(density, frame, np.random.default_rng(0), Silent(), **options)
    return found, density


@pytest.fixture(autouse=True)
def _in_float64():
    with computing_in("float64"):
        yield


@pytest.mark.parametrize("dim", [1, 2, 4])
def test_gradients_are_those_of_the_loss(dim):
    made = some_map(dim, seed=3)
    density = Evaluator(lambda x: -0.5 * jnp.sum(x**2) - 0.1 * jnp.sum(x**4) + x[0])
    z = lattice_noise(np.random.default_rng(0), dim, 256)
    noise = _Noise(z, polynomials(z))
    here = made.coefficients
    look = _look(density, made.frame, noise, here)
    for place, part in enumerate(here):
        for entry in np.ndindex(part.shape):
            if place < 2 and not made.coefficients[place][entry]:
                assert look.gradient[place][entry] == 0  # of a later coordinate
                continue
            moved = []
            for step in (1e-5, -1e-5):
                parts = [one.copy() for one in here]
                parts[place][entry] += step
                moved.append(_look(density, made.frame, noise, type(here)(*parts)).loss)
            assert look.gradient[place][entry] == pytest.approx(
                (moved[0] - moved[1]) / 2e-5, abs=1e-6
            )


def test_the_path_gradient_has_the_same_mean_and_no_noise_at_the_target():
    made = some_map(3, 0.1, seed=4)
    density = Evaluator(image_of(made))
    z = np.random.default_rng(5).normal(size=(4096, 3))
    noise = _Noise(z, polynomials(z))
    at_target = _path(noise, _look(density, made.frame, noise, made.coefficients))
    assert max(np.abs(mean).max() for mean in at_target.means) < 1e-6
    assert at_target.left == pytest.approx(0.0, abs=1e-10)
    away = some_map(3, 0.1, seed=6).coefficients
    look = _look(density, made.frame, noise, away)
    path = _path(noise, look)
    for total, mean in zip(look.gradient, path.means, strict=False):
        np.testing.assert_allclose(total, mean, atol=0.15)  # of 4,096 draws of a noisy gradient


@pytest.mark.parametrize("dim", [1, 3, 6])
def test_a_map_of_the_family_is_found(dim):
    made = some_map(dim, 0.04, seed=dim)
    log_density = image_of(made)
    found, density = fit(log_density, made.frame)
    assert kl_of(found, log_density) < 3e-3
    assert density.gradient_count <= 150_000


def test_enough_is_enough():
    made = some_map(3, 0.03, seed=3)
    found, density = fit(image_of(made), made.frame, kl_left=0.01)
    assert kl_of(found, image_of(made)) < 0.01
    assert density.gradient_count <= 5 * module.NOISE


def test_of_a_cubic_tail_it_keeps_what_it_can():
    """Beside a target outside of the family it is better than the Gaussian."""

    def log_density(x):
        return -0.5 * jnp.sum(x**2) - 0.2 * x[0] ** 4 - 0.5 * (x[1] - x[0] ** 2) ** 2

    frame = Gaussian(np.zeros(2), 0.8 * np.eye(2))
    found, _ = fit(log_density, frame)
    before = kl_of(type(found)(frame, type(found.coefficients).identity(2)), log_density)
    assert kl_of(found, log_density) < 0.2 * before


def test_a_density_without_values_at_the_frame_has_none():
    found, _ = fit(lambda x: jnp.where(x[0] > 0, -jnp.sum(x), -jnp.inf), Gaussian(*_standard(2)))
    assert found is None


def test_time_that_is_over_ends_the_fit():
    over = TimeLimit(1e-9)
    found, density = fit(lambda x: -jnp.sum(x**4), Gaussian(*_standard(2)), time_limit=over)
    assert found is not None
    assert density.gradient_count <= 15 * module.NOISE


def _standard(dim):
    return np.zeros(dim), np.eye(dim)
