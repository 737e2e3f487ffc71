"""Whether the density made of a PyMC model is PyMC's own, as PyTensor runs it without JAX."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from thalweg.compiling import jit_once
from thalweg.parameters import Parameters
from thalweg.targets.agreement import disagreement, sentence
from thalweg.targets.target import LogDensity


def disagreement_with_pymc(
    model: Any, name: str, parameters: Parameters, log_density: LogDensity
) -> str | None:
    """The sentence that refuses the density where it is not that of `pm.Model.logp`; else None.

    PyMC's runs in Python, operation by operation and in float64, without the simplifications that
    the graph for JAX goes through, and takes the coordinates by the names of its own variables.
    """
    from pymc.logprob.utils import ParameterValueError

    own = {rv.name: model.rvs_to_values[rv].name for rv in model.free_RVs}
    logp = _compiled(model, model.logp(jacobian=True))
    # In one program, and point by point: a model may have much data.
    ours = jit_once(lambda x: jax.lax.map(log_density, x))

    def point(row: np.ndarray) -> dict[str, np.ndarray]:
        pieces = parameters.pieces(row)  # type: ignore[arg-type]
        return {own[label]: np.asarray(piece, np.float64) for label, piece in pieces.items()}

    def theirs(row: np.ndarray) -> float:
        try:
            return float(logp(point(row)))
        except ParameterValueError:  # where a compiled model says −inf
            return -np.inf

    found = disagreement(lambda x: (ours(x), np.array([theirs(row) for row in x])), parameters.dim)
    if found is None:
        return None
    variables = list(model.free_RVs)
    values = _compiled(model, model.replace_rvs_by_values(variables))(point(found.point))
    flat = parameters.by_name(parameters.constrain(found.point)[0])  # type: ignore[arg-type]
    wrong = [
        variable.name
        for variable, value in zip(variables, values, strict=True)
        if not np.allclose(flat[variable.name], value, rtol=1e-3, atol=1e-5)
    ]
    where = f"; variable {wrong[0]!r} has another value there" if wrong else ""
    return sentence(found, f"the model {name!r}", "PyMC", where)


def _compiled(model: Any, outputs: Any) -> Any:
    from pytensor.compile.mode import Mode

    plain = Mode(linker="py", optimizer=None)
    return model.compile_fn(outputs, mode=plain, inputs=model.value_vars, on_unused_input="ignore")
