"""Posterior predictive draws: data simulated at draws of the parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from thalweg.argument_checks import key_from_seed
from thalweg.targets.target import Target
from thalweg.targets.tracebacks import place, what

# Folded into the seed: draws of data share no key with draws of parameters.
_DATA = 0x64617461


class Simulator(NamedTuple):
    """A function (key, point) -> data, and how messages name it."""

    simulate: Callable[[Any, Any], Any]
    name: str

    def __call__(self, points: Any, n: int, seed: int) -> Any:
        """One data set at each of `n` points, all in one program.

        Raises `ValueError` where the function raises, cannot be traced or returns no array.
        """
        keys = jax.random.split(jax.random.fold_in(key_from_seed(seed), _DATA), n)
        try:
            data = jax.jit(jax.vmap(self.simulate))(keys, jax.tree.map(jnp.asarray, points))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a simulator may call sys.exit()
            where = place(error, self.simulate)
            raise ValueError(
                f"{self.name} raised {what(error)}{where}, called on one point"
            ) from error
        if not jax.tree.leaves(data):
            raise ValueError(f"{self.name} returned no array; it must end in `return` and the data")
        return data


def simulator_of(target: Target | None, simulate: Any) -> Simulator:
    """Return the simulator: the function that was given, else the target's own.

    Raises `ValueError` where there is none.
    """
    if simulate is None:
        if target is None or target.simulate is None:
            raise ValueError(
                "predictive needs simulate=…, a function (key, point) -> data: only NumPyro models "
                "with an observed site bring their own, and a run that was loaded has none"
            )
        return Simulator(target.simulate, f"the model {target.name!r}")
    if not callable(simulate):
        raise ValueError(
            f"simulate must be a function (key, point) -> data, got {type(simulate).__name__}"
        )
    return Simulator(
        simulate, f"simulate {getattr(simulate, '__name__', type(simulate).__name__)!r}"
    )
