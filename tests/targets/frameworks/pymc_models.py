"""PyMC, whose tests skip where it is not installed, and models that several of them use."""

import atexit
import os
import tempfile
import warnings

import numpy as np
import pytest

__all__ = ["SCALE", "Y", "nothing", "pm", "pt", "pytensor", "schools", "transforms"]

# PyTensor keeps what it compiles in the home folder unless it is set before its import.
FOLDER = tempfile.TemporaryDirectory()
atexit.register(FOLDER.cleanup)
os.environ.setdefault("PYTENSOR_FLAGS", f"base_compiledir={FOLDER.name}")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its own imports
    pm = pytest.importorskip("pymc", reason="PyMC is not installed: pip install 'thalweg[pymc]'")
    import pytensor
    import pytensor.tensor as pt
    from pymc.distributions import transforms

Y = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
SCALE = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])


def nothing():
    """Data that say nothing: a model of the prior."""
    pm.Potential("nothing", pt.constant(0.0) * 1)


def schools():
    mu = pm.Normal("mu", 0, 5)
    tau = pm.HalfCauchy("tau", 5)
    theta = pm.Normal("theta", mu, tau, shape=8)
    pm.Deterministic("twice", 2 * theta)
    pm.Normal("y", theta, SCALE, observed=Y)
