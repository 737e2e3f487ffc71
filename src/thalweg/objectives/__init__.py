"""Objectives of fits: estimators of divergences and their gradients."""

from thalweg.objectives.annealing import Annealing as Annealing
from thalweg.objectives.dequantised_bound import DequantisedBound as DequantisedBound
from thalweg.objectives.forward_kl import ForwardKL as ForwardKL
from thalweg.objectives.objective import Estimate as Estimate
from thalweg.objectives.objective import Objective as Objective
from thalweg.objectives.objective import Shared as Shared
from thalweg.objectives.reverse_kl import GRADIENTS as GRADIENTS
from thalweg.objectives.reverse_kl import ReverseKL as ReverseKL
from thalweg.objectives.reverse_kl import free_energy as free_energy
