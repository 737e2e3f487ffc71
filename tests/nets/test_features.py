"""Feature layers: their formulas, their sizes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.nets.features import Features

X = jnp.array([0.3, -1.2, 0.7])


def test_maxout_takes_the_largest_of_each_window():
    net = Features(3, (12, 8), key=jax.random.key(0), nonlinearity="maxout", window=4)
    assert net.outputs == 2
    y = np.asarray(net.layers[0](X)).reshape(4, 3).max(0)
    y = np.asarray(net.layers[1](jnp.asarray(y))).reshape(4, 2).max(0)
    np.testing.assert_allclose(net(X), y)


def test_gates_multiply():
    net = Features(3, (5,), key=jax.random.key(0), nonlinearity="gated")
    y = np.asarray(net.layers[0](X))
    np.testing.assert_allclose(net(X), y[:5] / (1 + np.exp(-y[5:])), rtol=1e-6)


def test_activations_follow_every_layer():
    net = Features(3, (5, 4), key=jax.random.key(0), nonlinearity="tanh")
    y = np.tanh(net.layers[1](jnp.tanh(net.layers[0](X))))
    np.testing.assert_allclose(net(X), y, rtol=1e-6)


def test_no_layers_are_the_identity():
    net = Features(3, (), key=jax.random.key(0))
    assert net.outputs == 3
    np.testing.assert_array_equal(net(X), X)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="window of 4"):
        Features(3, (10,), key=jax.random.key(0), nonlinearity="maxout")
    with pytest.raises(ValueError, match="unknown nonlinearity 'maxuot'"):
        Features(3, (8,), key=jax.random.key(0), nonlinearity="maxuot")
