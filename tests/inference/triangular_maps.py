"""A triangular map with some coefficients, for tests."""

import numpy as np

from thalweg.bijections.triangular import terms_of
from thalweg.gaussians import Gaussian
from thalweg.inference.fitting.triangular_map import Coefficients, TriangularMap


def some_map(dim, size=0.3, seed=0):
    rng = np.random.default_rng(seed)
    earlier = terms_of(dim).earlier
    shift, log_scale = size * rng.normal(size=(2, *earlier.shape)) * earlier
    own = min(size, 0.2) * rng.normal(size=(2, dim))
    factor = np.tril(0.3 * rng.normal(size=(dim, dim)), -1) + np.diag(rng.uniform(0.5, 2, dim))
    return TriangularMap(
        Gaussian(rng.normal(size=dim), factor), Coefficients(shift, log_scale, *own)
    )
