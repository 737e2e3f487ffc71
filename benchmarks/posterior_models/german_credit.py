"""Logistic regression of credit risks (UCI Statlog, numeric form): 24 columns, 1000 people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from posterior_models.case import Case, data_folder
from posterior_models.densities import normal
from thalweg.targets import Target, from_function

LOG_Z = -531.281


def make() -> Target:
    """Ones, then columns over their standard deviation; w ~ N(0, 1); y = 1 is a good risk."""
    with np.load(data_folder() / "german_credit.npz") as arrays:
        x, bad = arrays["X"].astype(float), arrays["y"]
    design = np.concatenate([np.ones((len(x), 1)), x / x.std(0)], 1)
    sign = np.where(bad == 0, 1.0, -1.0)

    def log_density(p: Mapping[str, Any]) -> Array:
        likelihood = jnp.sum(jax.nn.log_sigmoid(sign * (design @ p["w"])))
        return normal(p["w"], 0, 1.0) + likelihood

    made = from_function(log_density, name="german_credit", parameters={"w": design.shape[1]})
    return replace(made, log_z=LOG_Z, source="UCI Statlog German credit")


def cases() -> list[Case]:
    """All of this family."""
    return [Case("german_credit", make, LOG_Z, gaussian_floor=0.146, bound=0.005)]
