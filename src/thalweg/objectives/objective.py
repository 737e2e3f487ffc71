"""The interface of objectives, which fits minimise."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree


class Estimate(NamedTuple):
    """An estimate: `surrogate` is differentiated, `value` is reported (nats)."""

    surrogate: Float[Array, ""]
    value: Float[Array, ""]


class Objective(eqx.Module):
    """A stochastic objective of a model: objective(model, key, step) -> Estimate.

    Array leaves lead with the restart axis in a fit, so restarts may differ in them, unless they
    are under a `Shared`; instances that are equal in everything else share one compiled
    training program.
    """

    # Whether a gradient many times longer than others means that a draw was bad, so that its step
    # is not taken. Where it can only mean a row that is not learned yet, it is shortened instead.
    refuses_long_gradients: ClassVar[bool] = True

    @abstractmethod
    def __call__(self, model: Any, key: PRNGKeyArray, step: Int[Array, ""]) -> Estimate:
        """Return one estimate from fresh draws."""

    @abstractmethod
    def is_comparable(self, step: Int[Array, ""]) -> Bool[Array, "*restarts"]:
        """Return whether values at this step are comparable with later ones (annealing is over)."""

    def held_out(self, model: Any, key: PRNGKeyArray) -> Float[Array, " held_out"] | None:
        """Return values (nats) of validation rows; None where there are none.

        Where there are some, a fit keeps the parameters that do best on them. The
        key is the same throughout a fit, so that values of different steps differ by the model.
        """
        return None


class Shared(eqx.Module):
    """Arrays of an objective that all restarts have in common, such as data. Held once."""

    value: PyTree
