"""Comparison of the density made of a PyMC model with PyMC's own, run without JAX."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from thalweg.compiling import jit_once
from thalweg.parameters import Parameters
from thalweg.targets.frameworks.agreement import check_density, check_values, points_and_neighbours
from thalweg.targets.target import LogDensity

CLOSE = 1e-3  # relative: rounding apart, maps are right or quite wrong


def check_agreement(
    model: Any, subject: str, parameters: Parameters, log_density: LogDensity
) -> None:
    """Raise `ValueError` where the density is not that of `pm.Model.logp`.

    PyMC's runs in Python, operation by operation and in float64, without the simplifications that
    the graph for JAX goes through, and takes the coordinates by the names of its own variables.
    Compared are the density of the coordinates, that of the parameters, and the parameters.
    """
    from pymc.logprob.utils import ParameterValueError
    from pytensor.compile.mode import Mode

    names = {rv.name: model.rvs_to_values[rv].name for rv in model.free_RVs}
    densities = [model.logp(jacobian=True), model.logp(jacobian=False)]
    compiled = model.compile_fn(
        [*densities, *model.replace_rvs_by_values(model.free_RVs)],
        mode=Mode(linker="py", optimizer=None),
        inputs=model.value_vars,
        on_unused_input="ignore",
    )

    def theirs(row: np.ndarray) -> list[Any]:
        """The two densities and the free variables, None where the model cannot be run."""
        pieces = parameters.pieces(jnp.asarray(row))
        point = {names[name]: np.asarray(piece, np.float64) for name, piece in pieces.items()}
        try:
            return list(compiled(point))
        except ParameterValueError:  # where a compiled model says −inf
            return [-np.inf, -np.inf, *[None] * len(names)]
        except Exception:  # an assertion of the model's own, for which JAX has NaN
            return [np.nan, np.nan, *[None] * len(names)]

    # In one program, and point by point: a model may have much data.
    @jit_once
    def ours(x: Array) -> tuple[Array, Array, dict[str, Array]]:
        def one(u: Array) -> tuple[Array, Array, dict[str, Array]]:
            tree, log_det = parameters.constrain(u)
            value = log_density(u)
            return value, value - log_det, parameters.by_name(tree)

        return jax.lax.map(one, x)

    for which in (0, 1):

        def both(x: np.ndarray, which: int = which) -> tuple[Any, Any]:
            return ours(jnp.asarray(x))[which], [theirs(row)[which] for row in x]

        check_density(both, parameters.dim, subject, "PyMC")
    x = points_and_neighbours(parameters.dim)[:, 0]
    values, own = ours(jnp.asarray(x))[2], [theirs(row)[2:] for row in x]
    for i, label in enumerate(names):
        mine, others = np.asarray(values[label]), [row[i] for row in own]
        check_values(f"variable {label!r} of {subject}", "PyMC", x, mine, others, CLOSE)
