"""The interface of bijections: invertible maps with their log-determinants."""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic, Self, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from thalweg.argument_checks import check_whole_number
from thalweg.nets.amortised import Amortised
from thalweg.tree import Module

Shape = tuple[int, ...]


class Bijection(Module):
    """An invertible map x = f(z | context) on one event of shape `shape`.

    `forward` always goes base -> data (z -> x) and `inverse` data -> base, for every bijection;
    `Inverse(b)` swaps them. Both directions always work: where no closed form exists the inverse
    is numerical, to rounding error, and differentiable by the implicit function theorem; a point
    at which it fails to converge comes back as NaN, never as a wrong number.

    Batches come from `jax.vmap`; `Flow` does it for its users.
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

    @abstractmethod
    def forward_and_log_det(
        self, z: Float[Array, "*event"], context: Array | None = None
    ) -> tuple[Float[Array, "*event"], Float[Array, ""]]:
        """x = f(z) and ln|det ∂x/∂z|."""

    @abstractmethod
    def inverse_and_log_det(
        self, x: Float[Array, "*event"], context: Array | None = None
    ) -> tuple[Float[Array, "*event"], Float[Array, ""]]:
        """z = f⁻¹(x) and ln|det ∂z/∂x|."""

    def forward(self, z: Float[Array, "*event"], context: Array | None = None) -> Array:
        """x = f(z). The compiler drops the log-determinant, which nothing uses."""
        return self.forward_and_log_det(z, context)[0]

    def inverse(self, x: Float[Array, "*event"], context: Array | None = None) -> Array:
        """z = f⁻¹(x)."""
        return self.inverse_and_log_det(x, context)[0]

    def forward_and_det_term(
        self, z: Float[Array, "*event"], context: Array | None = None
    ) -> tuple[Float[Array, "*event"], Float[Array, ""]]:
        """x and a determinant term, from which `log_det_of_term` computes ln|det ∂x/∂z|.

        The term is ln|det| itself, or |det| where the formula gives that: the logarithm is then
        left to `Repeat`, which takes those of all its layers at once.
        """
        return self.forward_and_log_det(z, context)

    def log_det_of_term(self, term: Array) -> Array:
        """ln|det ∂x/∂z| from the term that `forward_and_det_term` returns."""
        return term

    def prepare(self, context: Array | None = None) -> Self:
        """Return the map with all that does not depend on the point computed in advance.

        `Repeat` prepares all its layers at once, outside its scan, so that constraints and
        amortising networks cost one vectorised pass instead of one small one a layer.
        """
        return self

    def initialised_on(
        self, x: Float[Array, "*batch_and_event"], context: Array | None = None
    ) -> tuple[Self, Float[Array, "*batch_and_event"]]:
        """Return the map initialised on data (n, *event), and f⁻¹ of the data under it.

        Maps with a data-dependent initialisation (`ActNorm`) get other parameters, others stay as
        they are; a composition takes the batch through its parts, last to first. The data are not
        stored.
        """
        backwards = jax.vmap(self.inverse, in_axes=(0, None if context is None else 0))
        return self, backwards(x, context)

    def push_score(
        self, z: Array, score: Array, context: Array | None = None
    ) -> tuple[Array, Array, Array]:
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

        def pulled_back(at: Array) -> Array:
            base, inverse_log_det = fixed.inverse_and_log_det(at, context)
            return jnp.vdot(score, base) + jnp.sum(inverse_log_det)

        return x, log_det, jax.grad(pulled_back)(point)


Params = TypeVar("Params")


class Parametric(Bijection, Generic[Params]):
    """A bijection given by a formula in its point and a tree of parameters.

    A subclass stores `raw` (unconstrained parameters, free or amortised by a context) and states
    three things: how raw parameters become admissible ones (`constrain`), the map (`transform`)
    and its inverse (`invert`). Conditioning on a context then takes no further code.
    """

    raw: eqx.AbstractVar[Amortised | None]
    ready: eqx.AbstractVar[PyTree]  # constrained parameters, once `prepare` has run

    @abstractmethod
    def constrain(self, raw: PyTree) -> Params:
        """Return admissible parameters from unconstrained ones."""

    @abstractmethod
    def transform(self, params: Params, z: Array) -> tuple[Array, Array]:
        """x and ln|det ∂x/∂z|."""

    @abstractmethod
    def invert(self, params: Params, x: Array) -> tuple[Array, Array]:
        """z and ln|det ∂z/∂x|."""

    def parameters(self, context: Array | None = None) -> Params:
        """The constrained parameters at a context."""
        if self.raw is None:
            return self.ready
        return self.constrain(self.raw(context))

    def prepare(self, context: Array | None = None) -> Self:
        return eqx.tree_at(
            lambda b: (b.raw, b.ready),
            self,
            (None, self.parameters(context)),
            is_leaf=lambda node: node is None,
        )

    def forward_and_log_det(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        return self.transform(self.parameters(context), z)

    def inverse_and_log_det(self, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        return self.invert(self.parameters(context), x)


def per_event(parameter: Array, z: Array) -> Array:
    """A parameter of one event in the shape that broadcasts over events as columns."""
    return parameter.reshape(*parameter.shape, *(1,) * (z.ndim - parameter.ndim))


def check_dim(dim: int) -> int:
    """Return `dim` as an int; `ValueError` unless it is a positive whole number."""
    return check_whole_number("dim", dim)
