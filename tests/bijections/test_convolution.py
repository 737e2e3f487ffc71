"""Convolutions against dense matrices, both ways, odd and even lengths, one axis and two."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from contract.probes import jit, randomised
from jax.extend.core import jaxprs_in_params
from scipy.linalg import circulant

from thalweg.bijections import CircularConvolution, Repeat, SLogGate, SymmetricConvolution

KEY = jax.random.key(0)
KINDS = [CircularConvolution, SymmetricConvolution]
SHAPES = [(1,), (2,), (3,), (7,), (8,), (16,), (15,), (2, 3), (4, 4), (3, 5), (2, 2, 2)]


def _noisy(bijection, std=1.0):
    return randomised(bijection, KEY, std)


@jit
def _dense(bijection):
    size = int(np.prod(bijection.shape))
    eye = jnp.eye(size).reshape(size, *bijection.shape)
    return jax.vmap(bijection.forward)(eye).reshape(size, size).T


@jit
def _there_and_back(bijection, z):
    x, log_det = bijection.forward_and_log_det(z)
    return x, log_det, *bijection.inverse_and_log_det(x)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.few(4)
def test_the_log_determinant_is_that_of_the_matrix(kind, shape):
    bijection = _noisy(kind(shape))
    sign, expected = np.linalg.slogdet(_dense(bijection))
    z = jax.random.normal(KEY, shape)
    x, log_det, back, inverse_log_det = _there_and_back(bijection, z)
    assert x.dtype == z.dtype and sign == 1
    assert abs(log_det) > 1e-2
    np.testing.assert_allclose([log_det, -inverse_log_det], expected, atol=1e-9)
    np.testing.assert_allclose(back, z, atol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 15, 16])
@pytest.mark.few(3)
def test_the_circular_map_is_a_circulant_matrix(size):
    bijection = _noisy(CircularConvolution((size,)))
    w = np.asarray(bijection.filter())
    assert w.dtype == np.float64 and w.shape == (size,)
    z = jax.random.normal(KEY, (size,))
    x, log_det, *_ = _there_and_back(bijection, z)
    np.testing.assert_allclose(x, circulant(w) @ np.asarray(z), atol=1e-12)
    # The determinant has all bins, conjugates twice, where half of them are stored.
    np.testing.assert_allclose(log_det, np.log(np.abs(np.fft.fft(w))).sum(), atol=1e-12)


@pytest.mark.parametrize("shape", [(2, 3), (3, 4), (4, 4), (3, 5)])
@pytest.mark.few(2)
def test_the_plane_wraps_around_both_ways(shape):
    bijection = _noisy(CircularConvolution((*shape, 2), axes=(0, 1)))
    w, z = np.asarray(bijection.filter()), jax.random.normal(KEY, (*shape, 2))
    expected = np.zeros_like(z)
    for i, j in itertools.product(*map(range, shape)):  # each channel with its own filter
        expected += w[i, j] * np.roll(z, (i, j), axis=(0, 1))
    np.testing.assert_allclose(bijection.forward(z), expected, atol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 3, 8])
@pytest.mark.few(2)
def test_the_symmetric_map_convolves_what_is_mirrored(size):
    bijection = _noisy(SymmetricConvolution((size,)))
    bins = np.asarray(bijection.parameters().values)
    z = jax.random.normal(KEY, (size,))
    mirrored = np.concatenate([z, z[::-1]])
    w = np.fft.irfft(np.append(bins, 1.0), 2 * size)  # mirrored signals lack the last bin
    np.testing.assert_allclose(w[1:], w[:0:-1], atol=1e-14)
    expected = (circulant(w) @ mirrored)[:size]
    np.testing.assert_allclose(bijection.forward(z), expected, atol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 7, 8])
def test_any_filter_with_positive_real_bins_can_be_had(size):
    bins = np.fft.rfft(np.random.default_rng(1).normal(size=size))
    bins[0] = abs(bins[0])
    if size % 2 == 0:
        bins[-1] = abs(bins[-1])
    wanted = np.fft.irfft(bins, size)
    bijection = CircularConvolution((size,), max_log_scale=1e6)
    log = np.log(bins)
    free = log.real + 1j * np.pi * np.arctanh(log.imag / np.pi)
    cepstrum = np.fft.irfft(free, size, norm="ortho")
    bijection = eqx.tree_at(lambda b: b.raw.free, bijection, jnp.asarray(cepstrum))
    np.testing.assert_allclose(bijection.filter(), wanted, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.few(1)
def test_the_spectrum_is_kept_from_zero(kind):
    bijection = _noisy(kind((9,), max_log_scale=2.0), 1e3)
    singular = np.linalg.svd(_dense(bijection), compute_uv=False)
    assert singular.min() > np.exp(-2) * (1 - 1e-9) and singular.max() < np.exp(2) * (1 + 1e-9)
    assert singular.min() < np.exp(-1.9)  # the parameters do reach the bound


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.few(1)
def test_starts_as_the_identity(kind):
    z = jax.random.normal(KEY, (3, 4))
    x, log_det = kind((3, 4)).forward_and_log_det(z)
    np.testing.assert_allclose(x, z, atol=1e-14)
    assert log_det == 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_work_is_that_of_a_transform(kind):
    """At N = 4096 no array is larger than the event and its spectrum, and nothing is a product."""
    bijection = _noisy(kind((4096,)))
    arrays, static = eqx.partition(bijection, eqx.is_array)

    def both(arrays, z):
        again = eqx.combine(arrays, static)
        x, log_det = again.forward_and_log_det(z)
        return x, log_det, again.inverse(x)

    program = jax.make_jaxpr(both)(arrays, jnp.zeros(4096))
    text = str(program)
    largest = max(int(np.prod(shape)) for shape in _shapes(program.jaxpr))
    assert largest <= 2 * 4096 and "dot_general" not in text and "fft[" in text


def _shapes(jaxpr):
    for equation in jaxpr.eqns:
        yield from (v.aval.shape for v in equation.outvars)
        for inner in jaxprs_in_params(equation.params):
            yield from _shapes(inner)


def test_without_a_gate_a_stack_is_one_convolution():
    def layer(key):
        return _noisy_by(CircularConvolution((5,)), key)

    stack = Repeat.create(layer, KEY, 3)
    jacobian = jax.jacfwd(stack.forward)(jnp.arange(5.0))
    np.testing.assert_allclose(jacobian, circulant(jacobian[:, 0]), atol=1e-12)
    gate = SLogGate((5,))
    bent = jax.jacfwd(lambda z: stack.forward(gate.forward(stack.forward(z))))(jnp.arange(5.0))
    assert np.abs(bent - circulant(bent[:, 0])).max() > 1e-2


def _noisy_by(bijection, key):
    raw = jax.random.normal(key, bijection.shape)
    return eqx.tree_at(lambda b: b.raw.free, bijection, raw)


@pytest.mark.parametrize(
    ("shape", "axes"), [((3, 4), (2,)), ((3, 4), ()), ((3,), (0, 0)), ((), None), ((0,), None)]
)
def test_what_is_refused(shape, axes):
    with pytest.raises(ValueError, match="cannot convolve"):
        CircularConvolution(shape, axes=axes)
