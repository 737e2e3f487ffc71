"""float32, far from the data: inputs N(0, 100²) give no NaN and come back."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from contract import probes
from contract.bijections import make
from contract.names import BIJECTION_NAMES, RECIPE_NAMES
from thalweg import flows

DIM = 5
EPS32 = float(np.finfo(np.float32).eps)


def small_options(name):
    """Options that keep a recipe quick to compile and to run."""
    known = inspect.signature(flows.find(name).make).parameters
    return {k: v for k, v in {"layers": 4, "hidden": (16,)}.items() if k in known}


@probes.jit
def far_round_trips(bijection, points):
    def one(v):
        def there(point):
            x, log_det = bijection.forward_and_log_det(point)
            return x, (x, log_det)

        def back(point):
            z, log_det = bijection.inverse_and_log_det(point)
            return z, (z, log_det)

        # Both directions at two points each, in one call: what is traced once is compiled once.
        starts = jnp.stack([bijection.forward(v), v])
        backward, (ends, back_log_dets) = jax.vmap(jax.jacfwd(back, has_aux=True))(starts)
        forward, (values, log_dets) = jax.vmap(jax.jacfwd(there, has_aux=True))(
            jnp.stack([v, ends[1]])
        )
        return {
            "x": values[0],
            "z": ends[0],
            "w": ends[1],
            "y": values[1],
            "log_dets": jnp.concatenate([log_dets, back_log_dets]),
            "jacobian": forward[0],
            "w_jacobian": forward[1],
            "back_jacobian": backward[1],
        }

    return jax.vmap(one)(points)


def _check_far(bijection):
    bijection = probes.as_float32(bijection)
    points = 100 * jax.random.normal(jax.random.key(0), (2000, *bijection.shape), jnp.float32)
    out = jax.tree.map(np.asarray, far_round_trips(bijection, points))
    for name, value in out.items():
        assert value.dtype == np.float32, name
        assert np.isfinite(value).all(), f"{name} is not finite"
    points = np.asarray(points, np.float64)
    size = np.linalg.norm(points, axis=1)
    # What 1e-5, about 80 rounding errors of the largest value on the way, becomes under J⁻¹.
    singular = np.linalg.svd(out["jacobian"].astype(np.float64), compute_uv=False)
    way = np.linalg.norm(out["x"], axis=1) + singular[:, 0] * size
    bound = 1e-5 * (size + way / singular[:, -1])
    error = np.linalg.norm(out["z"] - points, axis=1)
    assert (error <= bound).all(), f"z → x → z: {np.max(error / bound):.1f} times too far"
    # Where a spline is steep, w is rounded to a place where it is less so: how steep the map is
    # on the way back is seen from both ends.
    steep = np.linalg.svd(out["w_jacobian"].astype(np.float64), compute_uv=False)[:, 0]
    back = np.linalg.svd(out["back_jacobian"].astype(np.float64), compute_uv=False)[:, -1]
    steep = np.maximum.reduce([steep, 1 / back, np.ones_like(steep)])
    reach = np.linalg.norm(out["w"], axis=1)
    error = np.linalg.norm(out["y"] - points, axis=1)
    far = error > 1e-5 * (size + steep * reach)
    if far.any():
        # A Jacobian of condition 10⁷ and more is itself lost in float32: float64 has the say.
        steep[far] = _steepness(probes.as_float64(bijection), points[far])
    bound = 1e-5 * (size + steep * reach)
    assert (error <= bound).all(), f"x → z → x: {np.max(error / bound):.1f} times too far"
    return out


def _steepness(bijection, points):
    """‖∂x/∂z‖ of where points in x come from."""
    backward = jax.vmap(jax.jacfwd(bijection.inverse))(jnp.asarray(points))
    return 1 / np.linalg.svd(np.asarray(backward), compute_uv=False)[:, -1]


@pytest.mark.parametrize("name", BIJECTION_NAMES)
@pytest.mark.few(5)
def test_bijections_far_out(name):
    bijection = probes.flat(make(name, jax.random.key(1), DIM))
    _check_far(probes.randomised(bijection, jax.random.key(2), 0.5))


@pytest.mark.parametrize("name", RECIPE_NAMES)
@pytest.mark.few(1)
def test_recipes_far_out(name):
    flow = flows.build(name, jax.random.key(1), DIM, **small_options(name))
    _check_far(probes.randomised(flow, jax.random.key(2), 0.2).bijection)


@pytest.mark.parametrize("name", RECIPE_NAMES)
@pytest.mark.few(4)
def test_recipes_stay_float32(name):
    """Draws, densities and base draws of a float32 flow are float32 although x64 is on."""
    flow = probes.as_float32(flows.build(name, jax.random.key(1), DIM, **small_options(name)))
    key = jax.random.key(0)
    x, log_q = jax.eval_shape(lambda k: flow.sample_and_log_prob(k, (4,)), key)
    sample = jax.eval_shape(lambda k: flow.sample(k, (4,)), key)
    log_prob = jax.eval_shape(flow.log_prob, x)
    assert {v.dtype for v in (x, log_q, sample, log_prob)} == {jnp.dtype(jnp.float32)}


def test_bounded_log_scales_hold_under_huge_parameters():
    """An unbounded exp overflows float32 at a log-scale of 89; the coupling's never gets there."""
    coupling = make("affine_coupling", jax.random.key(0), DIM)
    coupling = probes.as_float32(probes.randomised(coupling, jax.random.key(1), 20.0))
    points = 100 * jax.random.normal(jax.random.key(2), (5000, DIM), jnp.float32)
    x, log_det = jax.vmap(coupling.forward_and_log_det)(points)
    z, _ = jax.vmap(coupling.inverse_and_log_det)(points)
    assert np.isfinite(x).all() and np.isfinite(z).all()
    assert np.abs(log_det).max() <= 3 * 3 * (1 + 1e-6)
    assert np.abs(log_det).max() > 8  # the parameters do reach the bound
