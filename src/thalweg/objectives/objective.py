"""The interface of objectives, which fits minimise."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree


class Estimate(NamedTuple):
    """An estimate of an objective at one step.

    Args:
        surrogate: the scalar that is differentiated.
        value: the scalar that is reported, in nats.

    Example:
        >>> import thalweg as tw
        >>> tw.objectives.Estimate(surrogate=1.0, value=2.0).value
        2.0
    """

    surrogate: Float[Array, ""]
    value: Float[Array, ""]


class Objective(eqx.Module):
    """A stochastic objective of a model: objective(model, key, step) -> Estimate.

    Array leaves lead with the restart axis in a fit, so restarts may differ in them, unless they
    are under a `Shared`; instances that are equal in everything else share one compiled
    training program.

    Example:
        >>> import jax.numpy as jnp, thalweg as tw
        >>> class Squares(tw.objectives.Objective):
        ...     def __call__(self, model, key, step):
        ...         return tw.objectives.Estimate(*2 * [jnp.sum(model**2)])
        >>> float(Squares()(jnp.ones(3), None, 0).value)
        3.0
    """

    # Whether a gradient many times longer than others means that a draw was bad, so that its step
    # is not taken. Where it can only mean a row that is not learned yet, it is shortened instead.
    refuses_long_gradients: ClassVar[bool] = True
    # The unit and, below, the name with which progress shows the value.
    unit: ClassVar[str] = "nats"

    @property
    def title(self) -> str:
        """The name of the value, with its sign."""
        return "objective"

    @abstractmethod
    def __call__(self, model: Any, key: PRNGKeyArray, step: Int[Array, ""]) -> Estimate:
        """Return one estimate from fresh draws."""

    def is_comparable(self, step: Int[Array, ""]) -> Bool[Array, "*restarts"]:
        """Return whether values at this step are comparable with later ones: no more annealing."""
        return jnp.asarray(True)

    def held_out(self, model: Any, key: PRNGKeyArray) -> Float[Array, " held_out"] | None:
        """Return values (nats) of validation rows; None where there are none.

        Where there are some, a fit keeps the parameters that do best on them. The
        key is the same throughout a fit, so that values of different steps differ by the model.
        """
        return None


class Shared(eqx.Module):
    """Arrays of an objective that all restarts have in common, such as data; held once.

    Args:
        value: a tree of arrays without a restart axis.

    Example:
        >>> import jax.numpy as jnp, thalweg as tw
        >>> tw.objectives.Shared(jnp.zeros((100, 2))).value.shape
        (100, 2)
    """

    value: PyTree
