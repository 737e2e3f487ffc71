"""Continuous maps against equations that have a solution on paper."""

import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.linalg import expm

from thalweg import flows
from thalweg.bijections import Continuous, continuous, in_training, with_noise
from thalweg.nets import EventNet, LipschitzNet
from thalweg.objectives import ForwardKL, ReverseKL

KEY = jax.random.key(0)
MATRIX = 0.7 * jax.random.normal(jax.random.key(3), (3, 3))
Z = jnp.array([0.3, -1.0, 0.8])


class LinearField(EventNet):
    """g(t, z) = A z."""

    matrix: jax.Array
    shape: tuple = eqx.field(static=True, default=(3,))
    context_shape: tuple | None = eqx.field(static=True, default=None)

    def prepare(self, context=None):
        return self

    def __call__(self, x, time=None):
        return self.matrix @ x


def noisy(**options):
    field = LipschitzNet.dense(3, (8, 8), key=KEY, coefficient=3.0, timed=True)
    keys = iter(jax.random.split(jax.random.key(1), 20))
    field = jax.tree.map(
        lambda v: v + jax.random.normal(next(keys), v.shape) if eqx.is_inexact_array(v) else v,
        field,
    )
    return Continuous(field, **options)


@pytest.mark.parametrize("solver", ["dopri5", "dopri8", "tsit5"])
@pytest.mark.few(1)
def test_a_linear_equation_has_its_closed_form(solver):
    bijection = Continuous(LinearField(MATRIX), solver=solver)
    x, log_det = bijection.forward_and_log_det(Z)
    np.testing.assert_allclose(x, expm(MATRIX) @ Z, atol=1e-9)
    np.testing.assert_allclose(log_det, jnp.trace(MATRIX), atol=1e-12)
    z, inverse_log_det = bijection.inverse_and_log_det(x)
    np.testing.assert_allclose(z, Z, atol=1e-9)
    np.testing.assert_allclose(inverse_log_det, -jnp.trace(MATRIX), atol=1e-12)
    np.testing.assert_allclose(jax.jacrev(bijection.forward)(Z), expm(MATRIX), atol=1e-8)


def test_path_energy_of_a_linear_equation():
    """∫ |A e^{tA} z|² dt by quadrature, and ‖A‖² which does not change."""
    energy = Continuous(LinearField(MATRIX)).path_energy(Z)
    nodes, weights = np.polynomial.legendre.leggauss(20)
    speeds = [jnp.sum((MATRIX @ expm((t + 1) / 2 * MATRIX) @ Z) ** 2) for t in nodes]
    np.testing.assert_allclose(energy.kinetic, np.dot(weights, speeds) / 2, rtol=1e-8)
    np.testing.assert_allclose(energy.jacobian, jnp.sum(MATRIX**2), rtol=1e-12)


@pytest.mark.slow
def test_errors_are_those_that_the_tolerance_promises():
    """The density of a rough solution is as far from that of a fine one as its tolerance says."""
    points = 2 * jax.random.normal(KEY, (50, 3))

    @eqx.filter_jit
    def run(bijection):
        z, log_det = jax.vmap(bijection.inverse_and_log_det)(points)
        return z, log_det, jax.vmap(bijection.forward)(z)

    z, log_det, _ = run(noisy(solver="dopri8", tolerance=1e-13))
    density = log_det - jnp.sum(z**2, 1) / 2
    for tolerance in (1e-4, 1e-9):
        z, log_det, back = run(noisy(tolerance=tolerance))
        error = np.abs(log_det - jnp.sum(z**2, 1) / 2 - density).max()
        assert 1e-3 * tolerance < error < 300 * tolerance
        assert np.abs(back - points).max() < 300 * tolerance


@pytest.mark.slow
def test_hutchinson_is_unbiased_and_so_is_its_gradient():
    bijection = noisy(key=KEY, log_det="hutchinson", tolerance=1e-6)
    draws = 1000

    @eqx.filter_jit
    def run(keys):
        def value(at, key):
            return with_noise(bijection, key).forward_and_log_det(at)[1]

        return jax.vmap(jax.value_and_grad(value), (None, 0))(Z, keys)

    values, gradients = run(jax.random.split(KEY, draws))
    exact = jax.value_and_grad(lambda at: bijection.forward_and_log_det(at)[1])(Z)
    for drawn, expected in zip((values, gradients), exact, strict=True):
        spread = np.std(drawn, 0) / draws**0.5
        assert (spread > 1e-4).all()
        assert (np.abs(np.mean(drawn, 0) - expected) <= 3.5 * spread).all()


def test_noise_moves_the_log_determinant_alone():
    bijection = noisy(key=KEY, log_det="hutchinson", tolerance=1e-6)
    x, log_det = eqx.filter_jit(bijection.forward_and_log_det)(Z)
    estimated = eqx.filter_jit(with_noise(bijection, KEY).forward_and_log_det)(Z)
    assert abs(estimated[1] - log_det) > 1e-3
    np.testing.assert_allclose(estimated[0], x, atol=1e-13)
    np.testing.assert_allclose(eqx.filter_jit(bijection.forward)(Z), x, atol=1e-13)


def test_too_few_steps_are_no_number():
    assert np.isnan(noisy(max_steps=2).forward(Z)).all()


def test_without_diffrax_one_sentence_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "diffrax", None)
    with pytest.raises(ImportError, match=r"pip install 'thalweg\[continuous\]'"):
        noisy()


@pytest.mark.parametrize(
    "options",
    [{"log_det": "guess"}, {"solver": "euler"}, {"tolerance": 0.0}, {"max_steps": 0}],
)
def test_what_is_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        noisy(**options)
    with pytest.raises(ValueError, match="key"):
        noisy(log_det="hutchinson")


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.few(1)
def test_w16_the_form_for_training_is_the_same_map(back):
    """Equal steps, none chosen: the same paths and densities far within the noise of a batch."""
    bijection = noisy()
    cheap = in_training(bijection)
    assert (cheap.solver, cheap.max_steps) == ("rk4", 4)
    assert bijection.solver == "dopri5", "the map itself is left alone"

    def both(which):
        return which.inverse_and_log_det(Z) if back else which.forward_and_log_det(Z)

    (x, log_det), (near, near_log_det) = both(bijection), both(cheap)
    np.testing.assert_allclose(near, x, atol=5e-3)
    np.testing.assert_allclose(near_log_det, log_det, atol=2e-2)
    pushed = [which.push_score(Z, jnp.ones(3)) for which in (bijection, cheap)]
    for exact, found in zip(*pushed, strict=True):
        np.testing.assert_allclose(found, exact, atol=5e-2)


@pytest.mark.slow
def test_w16_objectives_train_in_that_form(monkeypatch):
    """No step is chosen in training, where most of the time went."""
    flow = flows.build("continuous", KEY, 2, hidden=(4,))

    def never(*_args, **_options):
        raise AssertionError("steps were chosen")

    monkeypatch.setattr(continuous, "choose_steps", never)
    for objective in (
        ForwardKL(jnp.ones((5, 2)), 3),
        ReverseKL(lambda x: -0.5 * jnp.sum(x**2), 3, "path"),
    ):
        assert np.isfinite(objective(flow, KEY, jnp.asarray(0)).value)
    with pytest.raises(AssertionError, match="chosen"):
        flow.log_prob(jnp.ones(2) * 0.5)
