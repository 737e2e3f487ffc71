"""Invertible convolutions: circular by Fourier transforms, symmetric by cosine transforms."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.fft import dct, idct
from jaxtyping import Array, PRNGKeyArray, PyTree

from thalweg.bijections.bijection import Parametric, Shape
from thalweg.nets.amortised import Amortised


class Response(NamedTuple):
    """A frequency response, one factor per bin of the transform, and its ln|det|."""

    values: Array
    log_det: Array


class Convolution(Parametric[Response]):
    """x = T⁻¹(ŵ ⊙ T z), ln|det| = Σ ln|ŵ| over all bins of the transform T (Karami et al. 2019).

    The transform runs over `axes` of an event of any `shape` (all of them by default); along the
    others, such as channels, each index has its own filter. O(N log N) each way. ln|ŵ| is bounded
    softly by `max_log_scale`, which keeps the spectrum from zero. Starts as the identity. Raises
    `ValueError` for an empty event and for axes that it does not have.
    """

    raw: Amortised | None
    ready: PyTree
    axes: tuple[int, ...] = eqx.field(static=True)
    max_log_scale: float = eqx.field(static=True)
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    @abstractmethod
    def spectrum(self, v: Array) -> Array:
        """T v."""

    @abstractmethod
    def event(self, bins: Array) -> Array:
        """T⁻¹ of the bins."""

    def transform(self, params: Response, z: Array) -> tuple[Array, Array]:
        return self.event(params.values * self.spectrum(z)), params.log_det

    def invert(self, params: Response, x: Array) -> tuple[Array, Array]:
        return self.event(self.spectrum(x) / params.values), -params.log_det

    def push_score(
        self, z: Array, score: Array, context: Array | None = None
    ) -> tuple[Array, Array, Array]:
        params = self.parameters(context)
        x, _ = self.transform(params, z)
        params, score = jax.lax.stop_gradient((params, score))
        # T is unitary up to a factor, so J⁻ᵀ divides by the conjugate of ŵ.
        pushed = self.event(self.spectrum(score) / jnp.conj(params.values))
        return x, params.log_det, pushed


class CircularConvolution(Convolution):
    """x = w ⊛ z, indices modulo N, with a real filter w; T is the Fourier transform.

    The parameters are a real array c, in effect the cepstrum of the filter: ŵ = e^{b + iφ} with
    b = B tanh(Re ĉ / B) and φ = π tanh(Im ĉ / π). That c is real gives ŵ the Hermitian symmetry of
    a real filter in any number of axes, odd or even, with positive real bins; and every such
    filter has its c. Up to three axes.
    """

    def __init__(
        self,
        shape: Shape,
        *,
        key: PRNGKeyArray | None = None,
        context_shape: Shape | None = None,
        axes: Sequence[int] | None = None,
        max_log_scale: float = 3.0,
    ):
        self.axes, self.max_log_scale = _check_axes(shape, axes), max_log_scale
        self.raw = Amortised(jnp.zeros(shape), context_shape, key=key)
        self.ready = None
        self.shape, self.context_shape = tuple(shape), context_shape

    def constrain(self, raw: Array) -> Response:
        cepstrum = jnp.fft.rfftn(raw, axes=self.axes, norm="ortho")
        log_scale = _soft_bound(cepstrum.real, self.max_log_scale)
        # An unbounded phase would vary faster the larger its raw parameter is.
        phase = _soft_bound(cepstrum.imag, np.pi)
        # Only half of the bins of the last axis are stored. The others are their conjugates,
        # except that of zero and, for even N, the Nyquist bin are their own.
        last, count = self.axes[-1], self.shape[self.axes[-1]]
        bins = np.arange(count // 2 + 1)
        times = np.where((bins == 0) | (2 * bins == count), 1, 2)
        along = tuple(axis for axis in range(raw.ndim) if axis != last)
        log_det = jnp.sum(log_scale.sum(along) * jnp.asarray(times, raw.dtype))
        return Response(jnp.exp(jax.lax.complex(log_scale, phase)), log_det)

    def spectrum(self, v: Array) -> Array:
        return jnp.fft.rfftn(v, axes=self.axes)

    def event(self, bins: Array) -> Array:
        return jnp.fft.irfftn(bins, [self.shape[axis] for axis in self.axes], axes=self.axes)

    def filter(self, context: Array | None = None) -> Array:
        """The filter w, in the shape of an event."""
        return self.event(self.parameters(context).values)


class SymmetricConvolution(Convolution):
    """Convolution of z, mirrored at both ends, with a symmetric filter.

    T is the cosine transform (DCT-II) and ŵ = e^θ is real, so that nothing wraps around from one
    end to the other; the Jacobian is symmetric and positive definite.
    """

    def __init__(
        self,
        shape: Shape,
        *,
        key: PRNGKeyArray | None = None,
        context_shape: Shape | None = None,
        axes: Sequence[int] | None = None,
        max_log_scale: float = 3.0,
    ):
        self.axes, self.max_log_scale = _check_axes(shape, axes), max_log_scale
        self.raw = Amortised(jnp.zeros(shape), context_shape, key=key)
        self.ready = None
        self.shape, self.context_shape = tuple(shape), context_shape

    def constrain(self, raw: Array) -> Response:
        log_scale = _soft_bound(raw, self.max_log_scale)
        return Response(jnp.exp(log_scale), jnp.sum(log_scale))

    def spectrum(self, v: Array) -> Array:
        for axis in self.axes:
            v = dct(v, axis=axis, norm="ortho")
        return v

    def event(self, bins: Array) -> Array:
        for axis in self.axes:
            bins = idct(bins, axis=axis, norm="ortho")
        return bins


def _check_axes(shape: Shape, axes: Sequence[int] | None) -> tuple[int, ...]:
    """Return the axes to convolve along: those given, or all."""
    chosen = tuple(range(len(shape)) if axes is None else axes)
    known = set(chosen) <= set(range(len(shape))) and len(set(chosen)) == len(chosen)
    if not chosen or not known or min(shape) < 1:
        raise ValueError(f"cannot convolve along axes {axes} of events of shape {shape}")
    return chosen


def _soft_bound(v: Array, bound: float) -> Array:
    """Bound v softly: v near zero, never beyond ±bound."""
    return bound * jnp.tanh(v / bound)
