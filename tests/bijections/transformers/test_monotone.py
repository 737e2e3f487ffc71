"""Monotone transformers: increasing, smooth where pieces meet, invertible everywhere."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.interpolate import BPoly

from thalweg.bijections import Autoregressive, Repeat
from thalweg.bijections.transformers import UMNN, Bernstein, DeepSigmoidal, SumOfSquares
from thalweg.tree import split_trainable

KEY = jax.random.key(0)
KINDS = {
    "bernstein": Bernstein(9),
    "deep_sigmoidal": DeepSigmoidal(6, depth=2),
    "sum_of_squares": SumOfSquares(4),
    "umnn": UMNN(8, key=KEY, hidden=(16,)),
}
SIZES = {"none": 0.0, "moderate": 0.5, "large": 5.0}  # of parameters
GRID = np.concatenate([-np.logspace(6, 1.5, 300), np.linspace(-20, 20, 4001), [30.0, 77.0, 4e3]])

jit = functools.partial(eqx.filter_jit, compiler_options={"xla_backend_optimization_level": 0})


def theta_of(transformer, size, seed=1):
    return size * jax.random.normal(jax.random.key(seed), (transformer.parameters,))


def both_ways(transformer, theta, value):
    x, log_slope = transformer.forward_and_log_det(theta, value)
    back, inverse_log_slope = transformer.inverse_and_log_det(theta, x)
    w = transformer.inverse_and_log_det(theta, value)[0]
    there = transformer.forward_and_log_det(theta, w)[0]
    slope = jax.grad(lambda v: transformer.forward_and_log_det(theta, v)[0])(value)
    return {
        "x": x,
        "log_slope": log_slope,
        "back": back,
        "inverse_log_slope": inverse_log_slope,
        "w": w,
        "there": there,
        "slope": slope,
    }


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def records(kind):
    """Records on the grid of the map at each size of parameters; one program a kind."""
    transformer = KINDS[kind]

    @jit
    def study(theta, grid):
        over_grid = jax.vmap(lambda t, v: both_ways(transformer, t, v), (None, 0))
        return jax.vmap(over_grid, (0, None))(theta, grid)

    theta = jnp.stack([theta_of(transformer, size) for size in SIZES.values()])
    out = jax.tree.map(np.asarray, study(theta, GRID))
    return {size: {k: v[i] for k, v in out.items()} for i, size in enumerate(SIZES)}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.few(2)
def test_increasing_and_onto(records, size):
    record = records[size]
    assert (np.diff(record["x"]) > 0).all()
    np.testing.assert_allclose(record["slope"], np.exp(record["log_slope"]), rtol=1e-10)
    np.testing.assert_allclose(record["back"], GRID, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(record["there"], GRID, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(record["log_slope"], -record["inverse_log_slope"], atol=1e-9)


def test_zero_parameters_give_the_identity(records, kind):
    x, log_slope = records["none"]["x"], records["none"]["log_slope"]
    if kind == "deep_sigmoidal":  # nearly, twice over, and as straight as it in the tails
        assert np.abs(x - GRID)[np.abs(GRID) < 1].max() < 0.12
        assert np.abs(x - GRID).max() < 0.6
        assert np.abs(log_slope).max() < 0.4
        np.testing.assert_allclose(log_slope[np.abs(GRID) > 25], 0, atol=1e-6)
    else:
        np.testing.assert_allclose(x, GRID, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(log_slope, 0, atol=1e-12)


def test_the_slope_integrates_to_the_map(kind):
    """The log-determinant is that of the map, not of what the map approximates."""
    transformer = KINDS[kind]
    theta = theta_of(transformer, 2.0)
    forward = jit(transformer.forward_and_log_det)
    for end in (-7.0, 4.0):
        area, _ = quad(
            lambda v: float(np.exp(forward(theta, np.float64(v))[1])),
            0.0,
            end,
            points=[-5.0] if end < -5 else None,  # where the tails begin
            epsabs=1e-10,
            epsrel=1e-10,
            limit=200,
        )
        rise = forward(theta, np.float64(end))[0] - forward(theta, np.float64(0.0))[0]
        assert abs(rise - area) < 1e-8


@pytest.mark.parametrize("name", ["bernstein", "sum_of_squares"])
def test_continuously_differentiable_at_the_bound(name):
    transformer, near = KINDS[name], 1e-7
    theta = theta_of(transformer, 2.0)
    forward = jit(jax.vmap(lambda v: transformer.forward_and_log_det(theta, v)))
    slope = jit(jax.vmap(jax.grad(lambda v: transformer.forward_and_log_det(theta, v)[0])))
    for end in (-5.0, 5.0):
        z = end + jnp.array([-near, 0.0, near])
        x, log_slope = forward(z)
        assert np.abs(np.diff(log_slope)).max() < 1e-4
        np.testing.assert_allclose(np.diff(x), near * np.exp(log_slope[1]), rtol=1e-4)
        # The derivative by differentiation is that slope on the seam too.
        np.testing.assert_allclose(slope(z), np.exp(log_slope), rtol=1e-10)


@pytest.mark.slow
def test_float32_under_large_parameters(kind):
    """1e5 points far out: no NaN, and errors of some rounding errors times what slopes make."""
    transformer = jax.tree.map(lambda a: a.astype(jnp.float32), KINDS[kind])
    theta = theta_of(transformer, 10.0).astype(jnp.float32)
    z = 100 * jax.random.normal(jax.random.key(2), (100_000,), jnp.float32)
    out = eqx.filter_jit(jax.vmap(lambda v: both_ways(transformer, theta, v)))(z)
    for name, value in out.items():
        assert value.dtype == np.float32, name
        assert np.isfinite(value).all(), name
    z, out = np.asarray(z), jax.tree.map(np.asarray, out)
    eps = np.finfo(np.float32).eps
    flattest, steepest = np.exp(out["log_slope"].min()), np.exp(out["log_slope"].max())
    way = 1 + np.abs(out["x"]) + steepest * np.abs(z)
    assert (np.abs(out["back"] - z) <= 40 * eps * (np.abs(z) + way / flattest)).all()
    way = 1 + np.abs(z) + steepest * np.abs(out["w"])
    assert (np.abs(out["there"] - z) <= 40 * eps * way).all()


@pytest.mark.few(1)
def test_batches_of_tails_alone(kind):
    transformer = KINDS[kind]
    z = jnp.array([-400.0, 30.0, 77.0])

    @jit
    def values_and_gradient(theta):
        def total(t):
            back, log_slopes = jax.vmap(transformer.inverse_and_log_det, (None, 0))(t, z)
            return jnp.sum(back + log_slopes)

        return jax.value_and_grad(total)(theta)

    value, gradient = values_and_gradient(theta_of(transformer, 1.0))
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 0


@pytest.mark.few(1)
def test_inverses_differentiate_twice(kind):
    """The second derivative of an inverse function: z'' = −f''/f'³."""
    transformer = KINDS[kind]
    theta, z = theta_of(transformer, 0.7), jnp.asarray(0.4)

    @jit
    def second_derivatives(z):
        def forward(v):
            return transformer.forward_and_log_det(theta, v)[0]

        def inverse(v):
            return transformer.inverse_and_log_det(theta, v)[0]

        first, second = jax.grad(forward)(z), jax.grad(jax.grad(forward))(z)
        return jax.grad(jax.grad(inverse))(forward(z)), -second / first**3

    np.testing.assert_allclose(*second_derivatives(z), rtol=1e-9, atol=1e-12)


class _Narrow(DeepSigmoidal):
    """Looks for its inverse in [−10, 10] only."""

    def bracket(self, params, x):
        return jnp.full_like(x, -10.0), jnp.full_like(x, 10.0)


def test_an_inverse_outside_its_bracket_widens_it():
    narrow = _Narrow(4)
    theta = theta_of(narrow, 0.5)
    x = jnp.array([12.0, -12.0, 1e4])
    out = jit(jax.vmap(lambda v: both_ways(narrow, theta, v)))(x)
    assert (np.abs(out["w"])[2] > 1e3).all()
    np.testing.assert_allclose(out["there"], x, rtol=1e-13)


# --- one family each -----------------------------------------------------------------------------


def test_deep_sigmoidal_slopes_are_bounded():
    """A plateau between far sigmoids keeps a twentieth of the identity; none is beyond 2e³."""
    theta = jnp.array([0.0, 0.0, 99.0, 99.0, -80.0, 80.0])  # weights, slopes, centres
    z = jnp.linspace(-200, 200, 4001)
    out = jit(jax.vmap(lambda v: both_ways(DeepSigmoidal(2), theta, v)))(z)
    np.testing.assert_allclose(out["log_slope"].min(), np.log(0.05), atol=1e-6)
    assert out["log_slope"].max() <= np.log(2 * np.e**3)
    np.testing.assert_allclose(out["back"], z, atol=1e-10)


def test_deep_sigmoidal_is_the_formula_of_the_paper():
    transformer = DeepSigmoidal(6)
    theta, z = theta_of(transformer, 1.0), 0.3
    units = jax.tree.map(np.asarray, transformer.constrain(theta)[0])
    mixture = np.exp(units.log_weights) @ (1 / (1 + np.exp(-units.slopes * (z - units.centres))))
    expected = 0.05 * z + 0.95 * np.log(mixture / (1 - mixture))
    x, _ = transformer.forward_and_log_det(theta, jnp.asarray(z))
    np.testing.assert_allclose(x, expected, rtol=1e-12)
    np.testing.assert_allclose(np.exp(units.log_weights).sum(), 1, rtol=1e-14)


def test_bernstein_is_the_sum_of_its_basis():
    transformer = Bernstein(7, bound=4.0)
    params = transformer.constrain(theta_of(transformer, 1.0))
    z = np.linspace(-4, 4, 41)
    expected = BPoly(np.asarray(params.values)[:, None], [-4.0, 4.0])
    x, slope = jax.vmap(lambda v: transformer.inside(params, v))(z)
    np.testing.assert_allclose(x, expected(z), atol=1e-12)
    np.testing.assert_allclose(slope, expected.derivative()(z), atol=1e-11)


@pytest.mark.parametrize("size", [1.0, 30.0])
def test_sums_of_squares_have_the_mean_their_coefficients_say(size):
    """Orthonormal bases: the mean slope is m + (1 − m) |coefficients|², so it cannot run away."""
    transformer = SumOfSquares(5, bound=3.0)
    theta = theta_of(transformer, size).at[:2].set(0.0)
    start = np.zeros(11)
    start[[1, 6]] = (1 / 3) ** 0.5, (2 / 3) ** 0.5  # P = u, Q = 1
    length = np.sum((np.asarray(theta)[2:] + start) ** 2)
    expected = 0.05 + 0.95 * 2 * length / (1 + length)
    low, high = (transformer.forward_and_log_det(theta, jnp.asarray(e))[0] for e in (-3.0, 3.0))
    np.testing.assert_allclose((high - low) / 6, expected, rtol=1e-12)


@pytest.mark.slow
def test_umnn_tends_to_the_integral_of_its_network():
    """The rule is a quadrature of second order: twice the nodes, a quarter of the error."""
    theta = 3.0 * jax.random.normal(jax.random.key(1), (5,))
    kinds = [UMNN(4, key=KEY, hidden=(16,), nodes=nodes) for nodes in (32, 64, 128)]
    net = kinds[0].net
    places, weights = np.polynomial.legendre.leggauss(60)

    def integrand(v):
        raw = net(v[None] / 5, theta[1:]) - net(v[None] / 5, jnp.zeros(4))
        return jnp.exp(3 * jnp.tanh(raw[0] / 3))

    area = 1.5 * weights @ jax.vmap(integrand)(jnp.asarray(1.5 * (places + 1)))  # from 0 to 3
    errors = [
        abs(float(kind.forward_and_log_det(theta, jnp.asarray(3.0))[0] - theta[0] - area))
        for kind in kinds
    ]
    assert errors[0] < 0.02
    assert errors[2] < errors[1] / 3 < errors[0] / 9


def test_umnn_needs_two_nodes():
    with pytest.raises(ValueError, match="nodes"):
        UMNN(4, key=KEY, nodes=1)


def test_the_network_of_umnn_is_stacked_and_trained():
    """Each layer of a stack has weights of its own, and all of them learn."""
    transformer = UMNN(4, key=KEY, hidden=(8,), nodes=8)
    stack = Repeat.create(lambda k: Autoregressive(2, transformer, key=k, hidden=(8,)), KEY, 3)
    assert all(layer.weight.shape[0] == 3 for layer in stack.layers.transformer.net.layers)
    trainable, fixed = split_trainable(stack)
    moved = jax.tree.map(lambda a: a + 0.1, trainable)

    @jit
    def gradient(arrays):
        z = jnp.array([0.5, -1.0])
        return jax.grad(lambda a: eqx.combine(a, fixed).forward(z).sum())(arrays)

    for layer in gradient(moved).layers.transformer.net.layers:
        assert (np.abs(layer.weight).max(axis=(1, 2)) > 0).all()
