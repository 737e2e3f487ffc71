"""Couplings: masks, what depends on what, and the softly bounded scale."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg.bijections import Coupling
from thalweg.bijections.coupling import half_mask
from thalweg.bijections.transformers import Affine, Shift

KEY = jax.random.key(0)


def _noisy(coupling):
    noise = lambda a: a + 0.3 * jax.random.normal(KEY, a.shape)  # noqa: E731
    return jax.tree.map(lambda a: noise(a) if eqx.is_inexact_array(a) else a, coupling)


@eqx.filter_jit
def _all(coupling, z):
    x, log_det = coupling.forward_and_log_det(z)
    return x, log_det, jax.jacfwd(coupling.forward)(z), *coupling.inverse_and_log_det(x)


@settings(max_examples=10, deadline=None)
@given(mask=st.lists(st.booleans(), min_size=1, max_size=6).filter(any))
def test_any_mask(mask):
    """Coordinates that stay are unchanged; others depend on themselves and on those that stay."""
    coupling = _noisy(Coupling(mask, Affine(), key=KEY, hidden=(4,)))
    moves = np.array(mask)
    z = jax.random.normal(jax.random.key(1), (len(mask),))
    x, log_det, jacobian, back, inverse_log_det = map(np.asarray, _all(coupling, z))
    assert np.array_equal(x[~moves], np.asarray(z)[~moves])
    among = jacobian[np.ix_(moves, moves)]
    assert np.array_equal(among, np.diag(np.diag(among)))
    assert np.array_equal(jacobian[~moves], np.eye(len(mask))[~moves])
    if not moves.all():
        assert (np.abs(jacobian[np.ix_(moves, ~moves)]) > 0).all()
    np.testing.assert_allclose(log_det, np.linalg.slogdet(jacobian)[1], atol=1e-10)
    np.testing.assert_allclose(back, z, atol=1e-12)
    np.testing.assert_allclose(inverse_log_det, -log_det, atol=1e-12)


def test_a_mask_that_moves_nothing_is_refused():
    for mask in ((False, False), ()):
        with pytest.raises(ValueError, match="at least one coordinate"):
            Coupling(mask, Shift(), key=KEY)


def test_a_mask_that_moves_all_is_elementwise():
    coupling = _noisy(Coupling((True, True, True), Affine(), key=KEY, hidden=(4,)))
    z = jnp.array([1.0, 2.0, 3.0])
    jacobian = jax.jacfwd(coupling.forward)(z)
    assert np.array_equal(jacobian, np.diag(np.diag(jacobian)))
    assert np.abs(coupling.forward(z) - z).min() > 1e-3


@pytest.mark.parametrize(
    ("dim", "first", "mask"),
    [
        (1, True, (True,)),
        (1, False, (True,)),
        (2, True, (True, False)),
        (3, True, (True, False, False)),
        (3, False, (False, True, True)),
    ],
)
def test_half_masks(dim, first, mask):
    assert half_mask(dim, first=first) == mask


def test_starts_as_the_identity():
    for transformer in (Shift(), Affine()):
        coupling = Coupling((True, False, True), transformer, key=KEY, context_shape=(2,))
        z = jnp.array([1.0, -2.0, 3.0])
        x, log_det = coupling.forward_and_log_det(z, jnp.ones(2))
        assert np.array_equal(x, z) and log_det == 0


def test_additive_coupling_keeps_volume():
    coupling = _noisy(Coupling((True, False, True), Shift(), key=KEY))
    z = jnp.array([1.0, -2.0, 3.0])
    x, log_det = coupling.forward_and_log_det(z)
    assert np.abs(x - z).max() > 1e-3 and log_det == 0


@settings(max_examples=50, deadline=None)
@given(raw=st.floats(-1e6, 1e6), bound=st.floats(0.1, 10))
def test_log_scale_is_bounded_softly(raw, bound):
    affine = Affine(max_log_scale=bound)
    _, log_det = affine.forward_and_log_det(jnp.array([0.0, raw]), jnp.array(1.0))
    assert abs(log_det) <= bound * (1 + 1e-12)
    if abs(raw) < 1e-3 * bound:
        np.testing.assert_allclose(log_det, raw, rtol=1e-5, atol=1e-12)


def test_missing_context():
    coupling = Coupling((True, False), Affine(), key=KEY, context_shape=(2,))
    with pytest.raises(ValueError, match="pass context="):
        coupling.forward(jnp.zeros(2))
