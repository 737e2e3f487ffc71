"""Whether the density made of a PyMC model is PyMC's own, as PyTensor runs it without JAX."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from thalweg.compiling import jit_once
from thalweg.parameters import Parameters
from thalweg.targets.frameworks.agreement import disagreement, points_and_neighbours, sentence
from thalweg.targets.target import LogDensity

CLOSE = 1e-3  # relative: rounding apart, maps are right or quite wrong


def disagreement_with_pymc(
    model: Any, name: str, parameters: Parameters, log_density: LogDensity
) -> str | None:
    """The sentence that refuses the density where it is not that of `pm.Model.logp`; else None.

    PyMC's runs in Python, operation by operation and in float64, without the simplifications that
    the graph for JAX goes through, and takes the coordinates by the names of its own variables.
    Compared are the density of the coordinates, that of the parameters, and the parameters.
    """
    from pytensor.compile.mode import Mode

    subject = f"the model {name!r}"
    variables = list(model.free_RVs)
    whole, bare = model.logp(jacobian=True), model.logp(jacobian=False)
    compiled = model.compile_fn(
        [whole, bare, *model.replace_rvs_by_values(variables)],
        mode=Mode(linker="py", optimizer=None),
        inputs=model.value_vars,
        on_unused_input="ignore",
    )
    theirs = _OfPoints(model, parameters, compiled)

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
            return ours(jnp.asarray(x))[which], theirs.numbers(x)[:, which]

        found = disagreement(both, parameters.dim)
        if found is not None:
            return sentence(found, subject, "PyMC")
    x = points_and_neighbours(parameters.dim)[:, 0]
    made, own = ours(jnp.asarray(x))[2], [theirs.values(row) for row in x]
    for i, variable in enumerate(variables):
        label = variable.name
        for point, mine, row in zip(x, np.asarray(made[label]), own, strict=True):
            if row is None or np.allclose(mine, row[i], rtol=CLOSE, atol=CLOSE):
                continue
            shown = ", ".join(f"{number:.4g}" for number in point[:4])
            return (
                f"variable {label!r} of {subject} is not PyMC's own: at u = ({shown}) it is "
                f"{np.ravel(mine)[:4]}, PyMC has {np.ravel(row[i])[:4]}"
            )
    return None


class _OfPoints:
    """What PyMC computes at points of thalweg's coordinates."""

    def __init__(self, model: Any, parameters: Parameters, compiled: Any):
        self.names = {rv.name: model.rvs_to_values[rv].name for rv in model.free_RVs}
        self.parameters, self.compiled = parameters, compiled

    def numbers(self, x: np.ndarray) -> np.ndarray:
        """(n, 2): the log density of the coordinates, and without the determinant."""
        return np.array([self._densities(row) for row in x])

    def values(self, row: np.ndarray) -> list[np.ndarray] | None:
        """The free variables at a point; None where the model cannot be run."""
        try:
            return list(self._run(row)[2:])
        except Exception:
            return None

    def _densities(self, row: np.ndarray) -> tuple[float, float]:
        from pymc.logprob.utils import ParameterValueError

        try:
            whole, bare, *_ = self._run(row)
        except ParameterValueError:  # where a compiled model says −inf
            return -np.inf, -np.inf
        except Exception:  # an assertion of the model's own, for which JAX has NaN
            return np.nan, np.nan
        return float(whole), float(bare)

    def _run(self, row: np.ndarray) -> Any:
        pieces = self.parameters.pieces(row)  # type: ignore[arg-type]
        return self.compiled(
            {self.names[name]: np.asarray(piece, np.float64) for name, piece in pieces.items()}
        )
