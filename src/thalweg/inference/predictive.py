"""Data that a posterior expects: draws of the parameters, and of the data given each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from thalweg.argument_checks import key_from_seed
from thalweg.targets.tracebacks import place, what

if TYPE_CHECKING:
    from thalweg.inference.posterior import Posterior

# Folded into the seed: what draws data shares no key with what draws parameters.
_DATA = 0x64617461


def predictive(
    posterior: Posterior,
    simulate: Callable[[Any, Any], Any] | None,
    n: int,
    seed: int,
    corrected: bool,
) -> Any:
    """`n` simulated data sets, each at a draw of its own; see `Posterior.predictive`."""
    if simulate is None:
        target = posterior.target
        if target is None or target.simulate is None:
            raise ValueError(
                "predictive needs simulate=…, a function (key, point) -> data: only NumPyro models "
                "with an observed site bring their own, and a run that was loaded has none"
            )
        simulate, name = target.simulate, f"the model {target.name!r}"
    elif callable(simulate):
        name = f"simulate {getattr(simulate, '__name__', type(simulate).__name__)!r}"
    else:
        raise ValueError(
            f"simulate must be a function (key, point) -> data, got {type(simulate).__name__}"
        )
    points = posterior.resample(n, seed) if corrected else posterior.sample(n, seed)
    keys = jax.random.split(jax.random.fold_in(key_from_seed(seed), _DATA), n)
    try:
        data = jax.jit(jax.vmap(simulate))(keys, jax.tree.map(jnp.asarray, points))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a simulator may call sys.exit()
        where = place(error, simulate)
        raise ValueError(f"{name} raised {what(error)}{where}, called on one point") from error
    if not jax.tree.leaves(data):
        raise ValueError(f"{name} returned no array; it must end in `return` and the data")
    return data
