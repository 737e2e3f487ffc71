"""Diagnostics of fits and chains: weights, missed mass, modes, rounding, convergence, verdict."""

from thalweg.diagnostics.diagnostics import Diagnostics as Diagnostics
from thalweg.diagnostics.diagnostics import Restarts as Restarts
from thalweg.diagnostics.diagnostics import StartSummary as StartSummary
from thalweg.diagnostics.verdict import Verdict as Verdict
from thalweg.diagnostics.verdict import decide as decide
