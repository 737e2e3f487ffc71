"""Densities without forward mode: curvature by gradients alone, and fits that need no more."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from inference.fits import BUDGET

from thalweg.gaussians import Gaussian
from thalweg.inference import infer
from thalweg.inference.fitting.newton_gaussian import newton_gaussian
from thalweg.inference.search.curvature import CAUTIOUS, DIFFERENCES, EXACT, curvature_of
from thalweg.inference.search.modes import find_modes, laplace
from thalweg.targets import Target
from thalweg.targets.evaluator import Evaluator
from thalweg.training import Silent

LOC = np.array([2.0, -30.0, 0.5])
SCALES = np.array([1e-2, 5.0, 0.3])


def normal(x):
    return -0.5 * jnp.sum(((x - LOC[: x.size]) / SCALES[: x.size]) ** 2)


def on_host(function, like, *arguments):
    return jax.pure_callback(function, like, *arguments, vmap_method="expand_dims")


@jax.custom_vjp
def called(x):
    """`normal` outside of JAX: a value, and a gradient that cannot be differentiated again."""

    def values(points):
        away = (np.asarray(points) - LOC[: points.shape[-1]]) / SCALES[: points.shape[-1]]
        return np.asarray(-0.5 * np.sum(away**2, -1), points.dtype)

    return on_host(values, jax.ShapeDtypeStruct((), x.dtype), x)


def called_forward(x):
    return called(x), x


def called_backward(x, cotangent):
    def slopes(points):
        size = points.shape[-1]
        return np.asarray(-(np.asarray(points) - LOC[:size]) / SCALES[:size] ** 2, points.dtype)

    return (cotangent * on_host(slopes, jax.ShapeDtypeStruct(x.shape, x.dtype), x),)


called.defvjp(called_forward, called_backward)


@jax.custom_vjp
def written(x):
    return normal(x)


written.defvjp(lambda x: (normal(x), x), lambda x, c: (c * jax.grad(normal)(x),))


@jax.custom_jvp
def twice(x):
    return normal(x)


twice.defjvp(lambda p, t: (normal(*p), jnp.vdot(jax.grad(normal)(*p), *t)))


def test_t_ode_the_way_to_a_curvature_is_found_by_tracing():
    found = [curvature_of(Target("mine", 3, one)) for one in (normal, twice, written, called)]
    # The gradient of the third can be differentiated, that of the last cannot.
    assert found == [EXACT, EXACT, EXACT, DIFFERENCES]
    assert not EXACT.cautious
    assert CAUTIOUS.cautious
    assert DIFFERENCES.cautious


@pytest.mark.parametrize("known", [False, True])
def test_t_ode_differences_of_gradients_are_curvatures(known):
    before = 1 / SCALES**2 if known else np.zeros(3)
    x = jnp.asarray(LOC + SCALES)
    found = DIFFERENCES.matrix(called, x, jnp.asarray(before))
    np.testing.assert_allclose(found, np.diag(1 / SCALES**2), rtol=1e-6, atol=1e-6)
    way, scale = jnp.array([0.0, 1.0, 0.0]), jnp.asarray(5.0)
    np.testing.assert_allclose(
        DIFFERENCES.along(called, x, way, scale), EXACT.along(normal, x, way, scale), rtol=1e-6
    )


def test_t_ode_modes_are_found_by_gradients_alone():
    starts = np.random.default_rng(0).normal(size=(4, 3))
    ends = find_modes(Evaluator(called), starts, DIFFERENCES)
    assert ends.converged.all()
    (gaussian,) = laplace(ends).gaussians
    np.testing.assert_allclose(gaussian[0], LOC, atol=1e-3 * SCALES.min())
    np.testing.assert_allclose(np.diagonal(gaussian[1]), SCALES, rtol=1e-4)


def test_t_ode_no_density_is_asked_at_a_nan():
    """Where a curvature is that of a saddle there is no step; a solver would never come back."""
    asked = []

    def saddle(x):
        jax.debug.callback(lambda v: asked.append(np.asarray(v)), x)
        return -((x[0] ** 2 - 1.0) ** 2) - x[1] ** 2

    ends = find_modes(Evaluator(saddle), np.array([[0.05, 0.3], [3.0, 1.0]]), CAUTIOUS)
    jax.effects_barrier()
    assert np.all(np.isfinite(np.concatenate([a.ravel() for a in asked])))
    np.testing.assert_allclose(ends.point, [[1.0, 0.0], [1.0, 0.0]], atol=1e-2)


def test_t_ode_the_gaussian_of_many_coordinates_needs_gradients_alone():
    begin = Gaussian(np.zeros(2), np.eye(2))

    def bent(x):
        return -jnp.sum(jnp.cosh(x - 1.0))

    exact = newton_gaussian(bent, begin, jax.random.key(0), Silent(), EXACT)
    found = newton_gaussian(bent, begin, jax.random.key(0), Silent(), DIFFERENCES)
    np.testing.assert_allclose(found[0], exact[0], atol=1e-2)
    np.testing.assert_allclose(found[1], exact[1], atol=1e-2)


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.few(1)
def test_t_ode_densities_with_a_vjp_alone_fit(dim):
    posterior = infer(called, dim, **{**BUDGET, "steps": 50})
    assert posterior.verdict == "trust"
    known = np.log(np.sqrt(2 * np.pi) * SCALES[:dim]).sum()
    assert abs(posterior.diagnostics["log_evidence"] - known) < 0.01
    np.testing.assert_allclose(posterior.points.mean(0), LOC[:dim], atol=0.1 * SCALES[:dim].max())
