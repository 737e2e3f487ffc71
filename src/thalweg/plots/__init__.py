"""Figures of a fit, for notebooks and reports.

Each function takes a posterior (and axes to draw on, if wished) and returns the matplotlib
figure. Nothing goes through pyplot: no display is needed and no figure stays open.
"""

from thalweg.plots.density import plot_density as plot_density
from thalweg.plots.pairs import plot_pairs as plot_pairs
from thalweg.plots.training import plot_training as plot_training
from thalweg.plots.weights import plot_weights as plot_weights
