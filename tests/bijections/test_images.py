"""Maps on images: squeezing, masks of channels, factoring out, the start of ActNorm."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from contract.probes import jit, randomised

from thalweg.bijections import (
    ActNorm,
    Chain,
    Coupling,
    ElementwiseAffine,
    FactorOut,
    FullAffine,
    Inverse,
    PerPosition,
    Repeat,
    Reshaped,
    Squeezed,
)
from thalweg.bijections.coupling import checkerboard_mask, half_mask
from thalweg.bijections.squeezed import squeeze, unsqueeze
from thalweg.bijections.transformers import Affine, RationalQuadratic
from thalweg.distributions import Flow, StandardNormal
from thalweg.flows import glow
from thalweg.serialization import load, save

KEY = jax.random.key(0)

# Making a map is many small programs; as one that is not optimised it takes least time.
image_map = jit(glow.image_map)


def checked(bijection, context=None):
    """Round trip, log-dets and push_score against the Jacobian by automatic differentiation."""
    shape, size = bijection.shape, int(np.prod(bijection.shape))
    z, score = jax.random.normal(jax.random.key(1), (2, *shape))

    @jit
    def program(bijection, z):
        x, log_det = bijection.forward_and_log_det(z, context)
        jacobian = jax.jacfwd(bijection.forward)(z, context).reshape(size, size)
        gradient = jax.grad(lambda v: bijection.forward_and_log_det(v, context)[1])(z)
        back = bijection.inverse_and_log_det(x, context)
        return x, log_det, jacobian, gradient, back, bijection.push_score(z, score, context)

    x, log_det, jacobian, gradient, back, pushed = program(bijection, z)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(jacobian)[1], atol=1e-10)
    np.testing.assert_allclose(back[0], z, atol=1e-10)
    np.testing.assert_allclose(back[1], -log_det, atol=1e-10)
    expected = np.linalg.solve(np.asarray(jacobian).T, np.ravel(score - gradient))
    np.testing.assert_allclose(np.ravel(pushed[2]), expected, rtol=1e-7, atol=1e-7)
    return z, x, jacobian


# --- squeezing -----------------------------------------------------------------------------------


def test_squeezing_puts_blocks_side_by_side():
    image = jnp.arange(2 * 4 * 3).reshape(2, 4, 3)
    squeezed = squeeze(image)
    assert squeezed.shape == (1, 2, 12)
    for block in range(2):
        pixels = [image[i, 2 * block + j] for i in range(2) for j in range(2)]
        assert np.array_equal(squeezed[0, block], np.concatenate(pixels))
    assert np.array_equal(unsqueeze(squeezed), image)


def test_a_squeezed_map_acts_on_blocks():
    inner = randomised(ElementwiseAffine((2, 3, 8)), KEY, 0.5)
    z, x, _ = checked(Squeezed(inner))
    np.testing.assert_allclose(x, unsqueeze(inner.forward(squeeze(z))), rtol=1e-12)


def test_a_context_that_is_an_image_is_squeezed_with_the_event():
    options = {"key": KEY, "hidden": (4,), "positions": (2, 2)}
    mask = half_mask(4, first=True)
    whole = Squeezed(Coupling(mask, Affine(), context_shape=(2, 2, 8), **options))
    assert whole.context_shape == (4, 4, 2)
    context = jax.random.normal(KEY, (4, 4, 2))
    whole = randomised(whole, KEY, 0.5)
    checked(whole, context)
    ready = whole.prepare(context)
    assert np.array_equal(
        ready.forward(jnp.ones((4, 4, 1)), context), whole.forward(jnp.ones((4, 4, 1)), context)
    )
    other = Squeezed(Coupling(mask, Affine(), context_shape=(2, 3, 8), **options))
    assert other.context_shape == (2, 3, 8)


def test_refusals():
    with pytest.raises(ValueError, match=r"shape \(h, w, 4c\), got \(2, 2, 3\)"):
        Squeezed(ActNorm((2, 2, 3)))
    coupling = Coupling(
        half_mask(4, first=True), Affine(), key=KEY, positions=(2, 2), context_shape=(2, 2, 3)
    )
    with pytest.raises(ValueError, match=r"context has shape \(h, w, 4k\), got \(2, 2, 3\)"):
        Squeezed(coupling)
    with pytest.raises(ValueError, match="3 channels cannot act on the first of 2"):
        FactorOut(ActNorm((2, 2, 3)), 2)
    with pytest.raises(ValueError, match="need a key"):
        ActNorm((2, 2, 3), context_shape=(2,))


# --- couplings -----------------------------------------------------------------------------------


def moved(bijection):
    z, x, jacobian = checked(randomised(bijection, KEY, 0.5))
    moves = np.abs(x - z) > 0
    # What moves does so by itself and by what stays.
    flat = moves.ravel()
    among = np.asarray(jacobian)[np.ix_(flat, flat)]
    assert np.array_equal(among, np.diag(np.diag(among)))
    return moves


def test_checkerboards_partition_the_pixels():
    rows, columns = np.indices((4, 6))
    fields = {}
    for dark in (True, False):
        mask = checkerboard_mask(2, dark=dark)
        coupling = Coupling(mask, Affine(), key=KEY, hidden=(4,), positions=(2, 3))
        fields[dark] = moved(Squeezed(coupling))
        expected = ((rows + columns) % 2 == 0) == dark
        assert np.array_equal(fields[dark], np.repeat(expected[..., None], 2, -1))
    assert np.array_equal(fields[True], ~fields[False])


@pytest.mark.parametrize("mask", [half_mask(3, first=True), half_mask(3, first=False), (True,)])
@pytest.mark.few(1)
def test_masks_of_channels(mask):
    coupling = Coupling(mask, Affine(), key=KEY, hidden=(4,), positions=(2, 2))
    assert np.array_equal(moved(coupling), np.broadcast_to(mask, (2, 2, len(mask))))


def test_any_transformer_moves_images():
    spline = RationalQuadratic(4)
    moved(Coupling(half_mask(2, first=False), spline, key=KEY, hidden=(4,), positions=(2, 2)))


@pytest.mark.slow
def test_the_image_coupling_is_the_flat_one_on_one_pixel():
    """On one pixel a convolution sees one pixel: both conditioners are the same dense network."""
    mask, options = half_mask(5, first=True), {"key": KEY, "hidden": (4, 4)}
    flat = randomised(Coupling(mask, RationalQuadratic(4), **options), KEY, 0.5)
    image = Coupling(mask, RationalQuadratic(4), positions=(1, 1), **options)
    layers = flat.conditioner.layers
    image = Reshaped(eqx.tree_at(lambda c: c.conditioner.layers, image, layers), (5,))
    z = jax.random.normal(KEY, (5,))
    for one, other in zip(flat.forward_and_log_det(z), image.forward_and_log_det(z), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


# --- scales --------------------------------------------------------------------------------------


def test_what_is_factored_out_stays():
    inner = randomised(FullAffine(2, key=KEY), KEY, 0.5)
    z, x, _ = checked(FactorOut(PerPosition(inner, (2, 2)), 5))
    assert np.array_equal(x[..., 2:], z[..., 2:])
    np.testing.assert_allclose(x[1, 0, :2], inner.forward(z[1, 0, :2]), rtol=1e-12)


@pytest.mark.parametrize("context", [None, (3,), (4, 4, 1)])
@pytest.mark.few(1)
def test_multi_scale_maps_are_bijections(context):
    bijection = image_map(KEY, (4, 4, 2), context, levels=2, layers=2, hidden=(4,))
    assert bijection.context_shape == context
    value = None if context is None else jax.random.normal(KEY, context)
    _, _, jacobian = checked(randomised(bijection, KEY, 0.3), value)
    assert (np.abs(jacobian) > 0).mean() > 0.5  # levels and steps mix the image


# --- the start on data ---------------------------------------------------------------------------


@jit
def started(flow, x, context=None):
    return flow.initialised_on(x, context)


@jit
def backwards(layers, x, context):
    """Back through Chain([coupling, mixing, ActNorm]) layers, with what each ActNorm makes of x."""
    results = []
    for i in reversed(range(len(layers))):
        layer = jax.tree.map(lambda a, i=i: a[i] if eqx.is_array(a) else a, layers.layers)
        for bijection in reversed(layer.bijections):
            x = jax.vmap(bijection.inverse, in_axes=(0, None if context is None else 0))(x, context)
            if isinstance(bijection, ActNorm):
                results.append(x.reshape(-1, x.shape[-1]))
    return x, results


def check_each_act_norm(layers, x, context=None):
    z, results = backwards(layers, x, context)
    assert len(results) == len(layers)
    for channels in results:
        np.testing.assert_allclose(channels.mean(0), 0, atol=1e-10)
        np.testing.assert_allclose(channels.var(0), 1, rtol=1e-10)
    return z


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.slow
def test_each_act_norm_of_a_stack_starts_at_mean_0_and_variance_1(conditional):
    context_shape = (2,) if conditional else None
    shape = (2, 2, 6)
    stack = image_map(KEY, shape, context_shape, levels=0, layers=3, hidden=(4,))
    stack = randomised(stack, KEY, 0.3)
    x = 5 + 3 * jax.random.normal(KEY, (20, *shape)) ** 3
    context = jax.random.normal(KEY, (20, 2)) if conditional else None
    start = started(Flow(StandardNormal(shape), stack), x, context).bijection
    assert isinstance(start, Repeat) and len(start) == 3
    z = check_each_act_norm(start, x, context)
    _, passed = started(stack, x, context)
    np.testing.assert_allclose(z, passed, atol=1e-9)


@pytest.mark.slow
def test_the_start_reaches_through_views_and_levels(tmp_path):
    """Squeezed, factored out, repeated, per position: each level starts on what reaches it."""
    shape = (4, 4, 1)
    x = jax.random.normal(KEY, (3, 10, *shape)) ** 2
    inside = Chain([image_map(KEY, shape, levels=2, layers=2, hidden=(4,))])
    norm = PerPosition(ActNorm((1,)), (4, 4))
    fresh = Flow(StandardNormal(shape), randomised(Chain([inside, norm]), KEY, 0.3))
    flow = started(fresh, x)
    first, last = flow.bijection.bijections
    z = jax.vmap(last.inverse)(x.reshape(30, *shape))
    np.testing.assert_allclose([z.mean(), z.var()], [0, 1], atol=1e-10)
    deep, steps = first.bijections[0].bijection.bijections
    z = check_each_act_norm(steps, jax.vmap(squeeze)(z))[..., :2]
    check_each_act_norm(deep.bijection.bijection.bijections[0], jax.vmap(squeeze)(z))
    # The start is parameters: it is saved with them, and loading does not make it again.
    save(tmp_path / "flow.safetensors", flow)
    again = load(tmp_path / "flow.safetensors")
    assert np.array_equal(again.log_prob(x), flow.log_prob(x))
    assert np.abs(flow.log_prob(x) - fresh.log_prob(x)).min() > 1e-3
    assert eqx.tree_equal(started(fresh, x), flow)


def test_channels_that_do_not_vary_keep_their_scale():
    x = jnp.stack([jnp.full((50, 1, 1), 0.1), jnp.arange(50.0).reshape(50, 1, 1)], -1)
    for dtype in (jnp.float32, jnp.float64):
        norm = jax.tree.map(lambda a, t=dtype: a.astype(t), ActNorm((1, 1, 2)))
        flow = Flow(StandardNormal((1, 1, 2)), norm).initialised_on(x)
        loc, log_scale = flow.bijection.parameters()
        np.testing.assert_allclose(loc, [0.1, 24.5], rtol=1e-6)
        assert log_scale[0] == 0
        assert loc.dtype == dtype


def test_maps_without_such_a_start_come_back_as_they_are():
    chain = Chain([Inverse(FullAffine(2, key=KEY)), ElementwiseAffine((2,))])
    x = jax.random.normal(KEY, (4, 2))
    start, z = chain.initialised_on(x)
    assert eqx.tree_equal(start, chain)
    np.testing.assert_allclose(z, jax.vmap(chain.inverse)(x), rtol=1e-12)
    empty = Chain([], shape=(2,))
    assert empty.initialised_on(x) == (empty, x)


def test_refused_starts():
    flow = Flow(StandardNormal((2,)), ActNorm((2,)))
    with pytest.raises(ValueError, match="at least one event"):
        flow.initialised_on(jnp.zeros((0, 2)))
    with pytest.raises(ValueError, match="no parameters to start"):
        flow.bijection.prepare().initialised_on(jnp.zeros((3, 2)))
