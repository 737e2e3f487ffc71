"""Couplings that move a vector as one."""

import jax
import numpy as np
import pytest
from contract.probes import randomised

from thalweg.bijections import (
    Chain,
    CircularConvolution,
    Coupling,
    ElementwiseAffine,
    FixedRotation,
    VectorCoupling,
)
from thalweg.bijections.transformers import Affine

KEY = jax.random.key(0)
MASK = (True, False, True, False, True)


def test_one_half_sets_the_convolution_of_the_other():
    coupling = VectorCoupling(MASK, CircularConvolution((3,)), key=KEY)
    coupling = randomised(coupling, KEY, 0.5)
    z = jax.random.normal(KEY, (5,))
    moves = np.array(MASK)
    jacobian = np.asarray(jax.jacfwd(coupling.forward)(z))
    among = jacobian[np.ix_(moves, moves)]
    np.testing.assert_allclose(among[1:, 1:], among[:-1, :-1], atol=1e-12)  # circulant
    assert np.array_equal(jacobian[~moves], np.eye(5)[~moves])
    assert (np.abs(jacobian[np.ix_(moves, ~moves)]) > 0).all()
    np.testing.assert_allclose(
        coupling.forward_and_log_det(z)[1], np.linalg.slogdet(jacobian)[1], atol=1e-12
    )


def test_starts_as_the_map_inside():
    inner = Chain([FixedRotation(3, key=KEY), ElementwiseAffine((3,))])
    inner = randomised(inner, KEY, 0.5)
    coupling = VectorCoupling(MASK, inner, key=KEY)
    z = jax.random.normal(KEY, (5,))
    moves = np.array(MASK)
    x = coupling.forward(z)
    np.testing.assert_array_equal(x[~moves], z[~moves])
    np.testing.assert_allclose(x[moves], inner.forward(z[moves]), atol=1e-14)


def test_frozen_arrays_inside_are_left_alone():
    inner = Chain([FixedRotation(3, key=KEY), ElementwiseAffine((3,))])
    coupling = VectorCoupling(MASK, inner, key=KEY)
    assert coupling.conditioner.outputs == 6


@pytest.mark.parametrize(
    ("mask", "inner"),
    [
        ((False, False), CircularConvolution((2,))),
        ((True, False), CircularConvolution((2,))),
        ((True, False), CircularConvolution((1,), key=KEY, context_shape=(2,))),
        ((True,), Coupling((True,), Affine(), key=KEY, context_shape=(2,))),
    ],
)
def test_what_is_refused(mask, inner):
    with pytest.raises(ValueError, match=r"mask moves|context"):
        VectorCoupling(mask, inner, key=KEY)
