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
from jaxtyping import Array, Float, Inexact, PRNGKeyArray

from thalweg.bijections.bijection import Parametric
from thalweg.bijections.shapes import Context, Event, LogDet, Pushed, Shape


class Response(NamedTuple):
    """A frequency response, one factor per bin of the transform, and its ln|det|."""

    values: Inexact[Array, "*bins"]
    log_det: Float[Array, ""]


class Convolution(Parametric[Response]):
    """x = T⁻¹(ŵ ⊙ T z), ln|det| = Σ ln|ŵ| over all bins of the transform T (Karami et al. 2019).

    The transform runs over `axes` of an event of any `shape` (all of them by default); along the
    others, such as channels, each index has its own filter. O(N log N) each way. ln|ŵ| is bounded
    softly by `max_log_scale`, which keeps the spectrum from zero. Starts as the identity. Raises
    `ValueError` for an empty event and for axes that it does not have.
    """

    axes: tuple[int, ...] = eqx.field(static=True)
    max_log_scale: float = eqx.field(static=True)

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
        super().__init__(jnp.zeros(shape), shape, context_shape, key)

    @abstractmethod
    def spectrum(self, v: Event) -> Inexact[Array, "*bins"]:
        """T v."""

    @abstractmethod
    def event(self, bins: Inexact[Array, "*bins"]) -> Event:
        """T⁻¹ of the bins."""

    def transform(self, params: Response, z: Event) -> tuple[Event, LogDet]:
        return self.event(params.values * self.spectrum(z)), params.log_det

    def invert(self, params: Response, x: Event) -> tuple[Event, LogDet]:
        return self.event(self.spectrum(x) / params.values), -params.log_det

    def push_score(self, z: Event, score: Event, context: Context = None) -> Pushed:
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

    Args:
        shape: of an event.
        key: a PRNG key; only a map with a context needs it.
        context_shape: the shape of the context that the parameters depend on; None for none.
        axes: of an event, along which it is convolved; None for all.
        max_log_scale: the bound of ln|ŵ|.

    Raises:
        ValueError: for an empty event and for axes that it does not have.

    Example:
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> convolution = tw.bijections.CircularConvolution((4,))
        >>> convolution.filter().round(4).tolist()  # the identity
        [1.0, 0.0, 0.0, 0.0]
    """

    __init__ = Convolution.__init__  # type checkers expect one in each class

    def constrain(self, raw: Event) -> Response:
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

    def spectrum(self, v: Event) -> Inexact[Array, "*bins"]:
        return jnp.fft.rfftn(v, axes=self.axes)

    def event(self, bins: Inexact[Array, "*bins"]) -> Event:
        return jnp.fft.irfftn(bins, [self.shape[axis] for axis in self.axes], axes=self.axes)

    def filter(self, context: Context = None) -> Event:
        """The filter w, in the shape of an event."""
        return self.event(self.parameters(context).values)


class SymmetricConvolution(Convolution):
    """Convolution of z, mirrored at both ends, with a symmetric filter.

    T is the cosine transform (DCT-II) and ŵ = e^θ is real, so that nothing wraps around from one
    end to the other; the Jacobian is symmetric and positive definite.

    Args:
        shape: of an event.
        key: a PRNG key; only a map with a context needs it.
        context_shape: the shape of the context that the parameters depend on; None for none.
        axes: of an event, along which it is convolved; None for all.
        max_log_scale: the bound of ln|ŵ|.

    Raises:
        ValueError: for an empty event and for axes that it does not have.

    Example:
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> convolution = tw.bijections.SymmetricConvolution((4,))
        >>> x, log_det = convolution.forward_and_log_det(jnp.ones(4))
        >>> x.round(4).tolist(), float(log_det)
        ([1.0, 1.0, 1.0, 1.0], 0.0)
    """

    __init__ = Convolution.__init__  # type checkers expect one in each class

    def constrain(self, raw: Event) -> Response:
        log_scale = _soft_bound(raw, self.max_log_scale)
        return Response(jnp.exp(log_scale), jnp.sum(log_scale))

    def spectrum(self, v: Event) -> Inexact[Array, "*bins"]:
        for axis in self.axes:
            v = dct(v, axis=axis, norm="ortho")
        return v

    def event(self, bins: Inexact[Array, "*bins"]) -> Event:
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
