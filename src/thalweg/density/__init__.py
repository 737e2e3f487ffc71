"""Job 2: rows in, a normalised density out."""

from thalweg.density.estimator import DensityEstimator as DensityEstimator
