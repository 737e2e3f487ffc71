"""The interface of bijections: invertible maps with their log-determinants."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Generic, Self, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from thalweg.argument_checks import check_whole_number
from thalweg.bijections.shapes import Context, Contexts, Event, Events, LogDet, Pushed
from thalweg.bijections.shapes import Shape as Shape
from thalweg.nets.amortised import Amortised
from thalweg.tree import Module


class Bijection(Module):
    """An invertible map x = f(z | context) on one event of shape `shape`.

    `forward` always goes base -> data (z -> x) and `inverse` data -> base, for every bijection;
    `Inverse(b)` swaps them. Both directions always work: where no closed form exists the inverse
    is numerical, to rounding error, and differentiable by the implicit function theorem; a point
    at which it fails to converge comes back as NaN, never as a wrong number.

    Batches come from `jax.vmap`; `Flow` does it for its users. Of every method:

    Args:
        z: an event of the base, of shape `shape`.
        x: an event of the data, of shape `shape`.
        context: numbers of shape `context_shape`; None where that is None.

    Raises:
        ValueError: where a map that was built with a context gets none.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import thalweg as tw
        >>> planar = tw.bijections.Planar(3, key=jax.random.key(0))
        >>> x, log_det = planar.forward_and_log_det(jnp.ones(3))
        >>> x.shape, log_det.shape, bool(jnp.allclose(planar.inverse(x), 1))
        ((3,), (), True)
    """

    shape: eqx.AbstractVar[Shape]
    context_shape: eqx.AbstractVar[Shape | None]

    @property
    def supports_trailing_batch(self) -> bool:
        """Whether every method also accepts n events as (d, n), the batch last, without a context.

        Log-determinants are then of shape (n,), or () where they are the same everywhere. What is
        elementwise runs along the events, which lie together in memory: on a CPU that halves the
        time of a spline. `Flow` batches maps that return False by `vmap`.
        """
        return False

    def check_context(self, context: Context) -> Context:
        """Return the context that the map takes: None where it takes none."""
        if context is None and self.context_shape is not None:
            raise ValueError("this map was built with a context: pass context=...")
        return None if self.context_shape is None else context

    @abstractmethod
    def forward_and_log_det(self, z: Event, context: Context = None) -> tuple[Event, LogDet]:
        """x = f(z) and ln|det ∂x/∂z|."""

    @abstractmethod
    def inverse_and_log_det(self, x: Event, context: Context = None) -> tuple[Event, LogDet]:
        """z = f⁻¹(x) and ln|det ∂z/∂x|."""

    def forward(self, z: Event, context: Context = None) -> Event:
        """x = f(z). The compiler drops the log-determinant, which nothing uses."""
        return self.forward_and_log_det(z, context)[0]

    def inverse(self, x: Event, context: Context = None) -> Event:
        """z = f⁻¹(x)."""
        return self.inverse_and_log_det(x, context)[0]

    def forward_and_det_term(self, z: Event, context: Context = None) -> tuple[Event, LogDet]:
        """x and a determinant term, from which `log_det_of_term` computes ln|det ∂x/∂z|.

        The term is ln|det| itself, or |det| where the formula gives that: the logarithm is then
        left to `Repeat`, which takes those of all its layers at once.
        """
        return self.forward_and_log_det(z, context)

    def log_det_of_term(self, term: Float[Array, "*terms"]) -> Float[Array, "*terms"]:
        """ln|det ∂x/∂z| from the term that `forward_and_det_term` returns."""
        return term

    def prepare(self, context: Context = None) -> Self:
        """Return the map with all that does not depend on the point computed in advance.

        `Repeat` prepares all its layers at once, outside its scan, so that constraints and
        amortising networks cost one vectorised pass instead of one small one a layer.
        """
        return self

    def initialised_on(self, x: Events, context: Contexts = None) -> tuple[Self, Events]:
        """Return the map initialised on data (n, *event), and f⁻¹ of the data under it.

        Maps with a data-dependent initialisation (`ActNorm`) get other parameters, others stay as
        they are; a composition takes the batch through its parts, last to first. The data are not
        stored.
        """
        backwards = jax.vmap(self.inverse, in_axes=(0, None if context is None else 0))
        return self, backwards(x, context)

    def push_score(self, z: Event, score: Event, context: Context = None) -> Pushed:
        """Push a point and the score of its density through the map.

        With s = ∇_z ln q(z), the density of x = f(z) has the score
        s' = J⁻ᵀ (s − ∇_z ln|det J|), J = ∂x/∂z. Returns x, ln|det J|, s'. This default gets s'
        as the gradient of sᵀ f⁻¹(x) + ln|det ∂z/∂x|; maps with a cheaper form override it.

        Path gradients (Roeder et al. 2017; Vaitl et al. 2024) are built on it. They differentiate
        x alone, so the log-determinant and the score are constants to differentiation.
        """
        x = self.forward(z, context)
        fixed, z, score, context = jax.lax.stop_gradient((self, z, score, context))
        point, log_det = fixed.forward_and_log_det(z, context)

        def pulled_back(at: Event) -> Float[Array, ""]:
            base, inverse_log_det = fixed.inverse_and_log_det(at, context)
            return jnp.vdot(score, base) + jnp.sum(inverse_log_det)

        return x, log_det, jax.grad(pulled_back)(point)


Params = TypeVar("Params")


class Parametric(Bijection, Generic[Params]):
    """A bijection given by a formula in its point and a tree of parameters.

    A subclass stores `raw` (unconstrained parameters, free or amortised by a context) and states
    three things: how raw parameters become admissible ones (`constrain`), the map (`transform`)
    and its inverse (`invert`). Conditioning on a context then takes no further code.

    Args:
        free: a tree of arrays θ₀, the unconstrained parameters at the start.
        shape: the shape of an event.
        context_shape: the shape of the context; None where the map takes none.
        key: for the network that adds a function of the context to θ₀; without one it may be None.
        hidden: the widths of that network.

    Example:
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> class ConstantShift(tw.bijections.Parametric):
        ...     def constrain(self, raw):
        ...         return raw
        ...     def transform(self, params, z):
        ...         return z + params, jnp.zeros(())
        ...     def invert(self, params, x):
        ...         return x - params, jnp.zeros(())
        >>> ConstantShift(jnp.ones(2), (2,), None, None).forward(jnp.zeros(2)).tolist()
        [1.0, 1.0]
    """

    raw: Amortised | None
    ready: PyTree  # constrained parameters, once `prepare` has run
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(
        self,
        free: PyTree,
        shape: Shape,
        context_shape: Shape | None,
        key: PRNGKeyArray | None,
        *,
        hidden: Sequence[int] = (32,),
    ):
        self.raw = Amortised(free, context_shape, key=key, hidden=hidden)
        self.ready = None
        self.shape, self.context_shape = tuple(shape), context_shape

    @abstractmethod
    def constrain(self, raw: PyTree) -> Params:
        """Return admissible parameters from unconstrained ones."""

    @abstractmethod
    def transform(self, params: Params, z: Event) -> tuple[Event, LogDet]:
        """x and ln|det ∂x/∂z|."""

    @abstractmethod
    def invert(self, params: Params, x: Event) -> tuple[Event, LogDet]:
        """z and ln|det ∂z/∂x|."""

    def parameters(self, context: Context = None) -> Params:
        """The constrained parameters at a context."""
        if self.raw is None:
            return self.ready
        return self.constrain(self.raw(context))

    def prepare(self, context: Context = None) -> Self:
        return eqx.tree_at(
            lambda b: (b.raw, b.ready),
            self,
            (None, self.parameters(context)),
            is_leaf=lambda node: node is None,
        )

    def forward_and_log_det(self, z: Event, context: Context = None) -> tuple[Event, LogDet]:
        return self.transform(self.parameters(context), z)

    def inverse_and_log_det(self, x: Event, context: Context = None) -> tuple[Event, LogDet]:
        return self.invert(self.parameters(context), x)


def per_event(parameter: Float[Array, "*event"], z: Float[Array, ...]) -> Float[Array, ...]:
    """A parameter of one event in the shape that broadcasts over events as columns."""
    return parameter.reshape(*parameter.shape, *(1,) * (z.ndim - parameter.ndim))


def check_dim(dim: int) -> int:
    """Return `dim` as an int; `ValueError` unless it is a positive whole number."""
    return check_whole_number("dim", dim)
