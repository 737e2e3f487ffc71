"""The test run checks shapes, also those that an annotation gives by a name."""

import jax.numpy as jnp
import jaxtyping
import pytest

from thalweg.bijections import Permutation

SWAP = Permutation(jnp.array([1, 0]))


def test_a_wrong_shape_is_refused():
    with pytest.raises(jaxtyping.TypeCheckError, match="score"):
        SWAP.push_score(jnp.ones(2), jnp.ones(3))
    with pytest.raises(jaxtyping.TypeCheckError, match="order"):
        Permutation(jnp.eye(2, dtype=int))


@pytest.mark.usefixtures("unchecked_shapes")
def test_the_fixture_lets_any_shape_through():
    assert SWAP.forward(jnp.arange(2)).tolist() == [1, 0]
