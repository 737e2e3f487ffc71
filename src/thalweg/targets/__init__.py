"""Unnormalised densities: built-in ones, those of functions, files and frameworks, and checks."""

from thalweg.targets.check import check_target as check_target
from thalweg.targets.frameworks.numpyro.from_numpyro import from_numpyro as from_numpyro
from thalweg.targets.frameworks.pymc.from_pymc import from_pymc as from_pymc
from thalweg.targets.frameworks.stan import from_stan as from_stan
from thalweg.targets.frameworks.stan import from_stan_record as from_stan_record
from thalweg.targets.from_file import from_file as from_file
from thalweg.targets.from_function import from_function as from_function
from thalweg.targets.registry import get as get
from thalweg.targets.registry import names as names
from thalweg.targets.target import LogDensity as LogDensity
from thalweg.targets.target import Target as Target
