"""The degrees, masks and windows that the folder's README shows."""

import jax
import numpy as np

from thalweg.nets import MaskedMLP
from thalweg.nets.autoregressive import windows


def test_degrees_masks_and_windows_of_the_readme():
    net = MaskedMLP((0, 1, 2), 1, hidden=(4,), key=jax.random.key(0))
    inputs, hidden, parameters = net._degrees()
    assert [list(inputs), list(hidden), list(parameters)] == [[1, 2, 3], [1, 1, 2, 2], [0, 1, 2]]
    to_hidden, to_parameters = net._masks()
    assert np.array_equal(to_hidden, [[1, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0]])
    assert np.array_equal(to_parameters, [[0, 1, 1], [0, 1, 1], [0, 0, 1], [0, 0, 1]])
    begins, width = windows(hidden, 3)
    assert list(begins) == [0, 0, 2] and width == 2
