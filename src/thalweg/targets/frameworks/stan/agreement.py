"""Comparison of the parameters of a program, as thalweg maps them, with Stan's own."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np

from thalweg.parameters import Parameters
from thalweg.precision import computing_in
from thalweg.targets.frameworks.agreement import check_density, check_values
from thalweg.targets.frameworks.stan.compiled_model import CompiledModel

CLOSE = 1e-6


def check_agreement(model: CompiledModel, parameters: Parameters, name: str) -> None:
    """Raise `ValueError`, naming the parameter, where maps, names or determinants are not Stan's.

    The values are compared with those that Stan writes, read in the order that it documents (the
    first index moves fastest); Stan's density without the determinant, plus the determinant of our
    maps, with Stan's density.
    """
    u = np.random.default_rng(1).uniform(-2, 2, (4, model.dim))
    heads = [full.partition(".")[0] for full in model.constrained_names]
    written = model.constrain(u)

    def evaluate(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        log_det = np.asarray(parameters.log_det(jnp.asarray(points)))
        return model.values(points, jacobian=False) + log_det, model.values(points)

    with computing_in("float64"):
        trees = parameters.trees(u)
        ours = parameters.by_name(trees)
        for label, shape in parameters.shapes.items():
            own = [i for i, head in enumerate(heads) if head == label]
            if len(own) != math.prod(shape):
                raise ValueError(f"{name} writes {len(own)} numbers of {label!r}, of shape {shape}")
            theirs = [row[own].reshape(shape, order="F") for row in written]
            subject = f"parameter {label!r} of {name}"
            check_values(subject, "Stan", u, np.asarray(ours[label]), theirs, CLOSE)
        check_density(evaluate, model.dim, name, "Stan")
        if not np.allclose(parameters.unconstrain(trees), u, rtol=CLOSE, atol=CLOSE):
            raise ValueError(f"the parameters of {name} do not lead back to Stan's coordinates")
