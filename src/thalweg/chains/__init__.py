"""Exact draws from a fit: Markov chains that move through the flow."""

from thalweg.chains.problem import Problem as Problem
from thalweg.chains.refined import Refined as Refined
from thalweg.chains.run import METHODS as METHODS
from thalweg.chains.run import refine as refine
