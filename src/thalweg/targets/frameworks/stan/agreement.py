"""Whether the parameters of a program, as thalweg maps them, are those that its density is of."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np

from thalweg.parameters import Parameters
from thalweg.precision import computing_in
from thalweg.targets.frameworks.agreement import disagreement, sentence
from thalweg.targets.frameworks.stan.compiled_model import CompiledModel

CLOSE = 1e-6


def check_agreement(model: CompiledModel, parameters: Parameters, name: str) -> None:
    """Raise `ValueError`, naming the parameter, where maps, names or determinants are not Stan's.

    The values are compared with those that Stan writes, read in the order that it documents (the
    first index moves fastest); Stan's density without the determinant, plus the determinant of our
    maps, with Stan's density.
    """
    u = np.random.default_rng(1).uniform(-2, 2, (4, model.dim))
    with computing_in("float64"):
        trees = parameters.trees(u)
        ours = parameters.by_name(trees)
        back = np.asarray(parameters.unconstrain(trees))

        def evaluate(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            log_det = np.asarray(parameters.log_det(jnp.asarray(points)))
            return model.values(points, jacobian=False) + log_det, model.values(points)

        found = disagreement(evaluate, model.dim)
    written = model.constrain(u)
    for label, shape in parameters.shapes.items():
        own = [i for i, full in enumerate(model.constrained_names) if _head(full) == label]
        if len(own) != math.prod(shape):
            raise ValueError(f"{name} writes {len(own)} numbers of {label!r}, of shape {shape}")
        theirs = np.array([row[own].reshape(shape, order="F") for row in written])
        if not np.allclose(ours[label], theirs, rtol=CLOSE, atol=CLOSE, equal_nan=True):
            raise ValueError(
                f"parameter {label!r} of {name} is not Stan's: at u = {u[0][:4]} it is "
                f"{np.ravel(ours[label])[:4]}, Stan has {np.ravel(theirs)[:4]}"
            )
    if found is not None:
        raise ValueError(sentence(found, name, "Stan"))
    if not np.allclose(back, u, rtol=CLOSE, atol=CLOSE):
        raise ValueError(f"the parameters of {name} do not lead back to Stan's coordinates")


def _head(name: str) -> str:
    return name.partition(".")[0]
