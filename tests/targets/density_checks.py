"""A density's check at a few points, and the sentence of its refusal."""

import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.targets import Target, check_target

POINTS = np.random.default_rng(0).normal(size=(40, 2))


def normal(x):
    return -0.5 * jnp.sum(x**2)


def check(density, points=POINTS, dim=2):
    return check_target(Target("mine", dim, density), points)


def sentence(density, points=POINTS):
    with pytest.raises(ValueError) as caught:
        check(density, points)
    message = str(caught.value)
    assert message.startswith("the log density 'mine' ")
    assert "\n" not in message
    return message
