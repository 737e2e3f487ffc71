"""The names that the contract runs over, each with all of its tests on one worker.

What is compiled for a bijection or a recipe is then compiled once.
"""

import equinox as eqx
import jax
import pytest

from contract.bijections import BIJECTIONS, make
from thalweg import flows

# With the slow tests, for the suite must stay within twelve minutes: variants and dear programs.
SLOW = {
    "affine_autoregressive_gru",
    "affine_autoregressive_residual",
    "affine_coupling_odd_mask",
    "affine_two_groups",
    "bernstein",
    "bernstein_autoregressive",
    "bernstein_coupling",
    "channel_coupling",
    "circular_convolution_2d",
    "circular_coupling",
    "circular_spline",
    "continuous",
    "deep_sigmoidal_autoregressive",
    "deep_sigmoidal_coupling",
    "glow",
    "inverse_planar",
    "invertible_1x1_convolution",
    "linear_rational_coupling",
    "linear_rational_spline",
    "mixed_stack",
    "multi_scale",
    "naf",
    "phase_shift",
    "planar_leaky_relu",
    "quadratic_spline_coupling",
    "rational_quadratic_autoregressive",
    "rational_quadratic_autoregressive_ordered",
    "recurrent",
    "residual",
    "residual_convolutional",
    "rosenblatt",
    "rotation",
    "rotation_exponential",
    "s_log_gate",
    "sos",
    "sum_of_squares_autoregressive",
    "sum_of_squares_coupling",
    "sylvester_householder",
    "sylvester_triangular",
    "symmetric_convolution",
    "symmetric_convolution_2d",
    "umnn",
    "umnn_autoregressive",
    "umnn_coupling",
}
assert SLOW.issubset({*BIJECTIONS, *flows.names()})


def _grouped(names):
    group, slow = pytest.mark.xdist_group, pytest.mark.slow
    return [
        pytest.param(name, marks=[group(name), *([slow] if name in SLOW else [])]) for name in names
    ]


def _supports_trailing_batch(name):
    return eqx.filter_eval_shape(make, name, jax.random.key(0), 3).supports_trailing_batch


BIJECTION_NAMES = _grouped(sorted(BIJECTIONS))
NAMES_OF_COLUMNS = _grouped(sorted(filter(_supports_trailing_batch, BIJECTIONS)))
RECIPE_NAMES = _grouped(flows.names())
