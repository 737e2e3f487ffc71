"""Fits of a few steps, for tests of what a density is learned from."""

from thalweg import DensityEstimator
from thalweg.progress import Silent

FAST = {"flow": "mean_field", "members": 1, "steps": 30, "noise": 0.0, "random_state": 0}


def learn(x, context=None, **options):
    """Fit without the warning of a flow that learned little in so few steps."""
    return DensityEstimator(**{**FAST, **options}).learn(x, context, Silent())
