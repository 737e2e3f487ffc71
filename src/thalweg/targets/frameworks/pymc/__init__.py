"""Targets from PyMC models: their PyTensor graphs, run by JAX."""

from thalweg.targets.frameworks.pymc.from_pymc import PYMC as PYMC
from thalweg.targets.frameworks.pymc.from_pymc import from_pymc as from_pymc
