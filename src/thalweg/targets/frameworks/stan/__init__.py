"""Targets from Stan programs: compiled on this machine, called from JAX."""

from thalweg.targets.frameworks.stan.from_stan import REFERENCE as REFERENCE
from thalweg.targets.frameworks.stan.from_stan import STAN as STAN
from thalweg.targets.frameworks.stan.from_stan import from_stan as from_stan
from thalweg.targets.frameworks.stan.from_stan import from_stan_record as from_stan_record
