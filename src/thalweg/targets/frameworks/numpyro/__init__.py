"""Targets from NumPyro models."""

from thalweg.targets.frameworks.numpyro.from_numpyro import NUMPYRO as NUMPYRO
from thalweg.targets.frameworks.numpyro.from_numpyro import from_numpyro as from_numpyro
