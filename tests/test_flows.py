"""Recipes by name, and what `Flow` says to those who use it wrongly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets.conditioners import moved
from scipy import stats

from thalweg import flows
from thalweg.bijections import Chain, ElementwiseAffine, Planar, TriangularAffine
from thalweg.distributions import Flow, FullNormal, StandardNormal, StudentT, Uniform, distribution
from thalweg.flows.autoregressive import orders
from thalweg.tree import count_parameters

KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("plannar", KEY, 2), {}, "unknown flow 'plannar'; known flows: bernstein, "),
        (("planar", KEY, 2), {"layer": 3}, "no option 'layer'; its options: layers, nonlin"),
        (("gaussian", KEY, 2), {"layers": 3}, "no option 'layers'; its options: none"),
        (("planar", KEY, 2), {"layers": 0}, "layers must be a whole number of at least 1, got 0"),
        (
            ("planar", KEY, 2),
            {"layers": True},
            "layers must be a whole number of at least 1, got True",
        ),
        (
            ("planar", KEY, 2),
            {"layers": 2.0},
            "layers must be a whole number of at least 1, got 2.0",
        ),
        (("planar", KEY, 0), {}, "dim must be a whole number of at least 1, got 0"),
        (("planar", KEY, 2), {"nonlinearity": "relu"}, "'tanh' or 'leaky_relu'"),
        (("maf", KEY, 2), {"order": "odd"}, "unknown order 'odd'; known orders: paired, "),
        (("iaf", KEY, 2), {"hidden": (8, 4), "blocks": 1}, "one width in hidden, got"),
    ],
)
def test_build_refusals(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        flows.build(*arguments, **options)


def test_use_refusals():
    flow = flows.build("planar", KEY, 2, layers=1)
    conditional = flows.build("planar", KEY, 2, 3, layers=1)
    with pytest.raises(ValueError, match=r"x must end in shape \(2,\).*\(4, 3\)"):
        flow.log_prob(jnp.zeros((4, 3)))
    with pytest.raises(ValueError, match="takes no context"):
        flow.log_prob(jnp.zeros(2), jnp.zeros(3))
    for call in (
        lambda: conditional.log_prob(jnp.zeros(2)),
        lambda: conditional.sample(KEY),
        lambda: conditional.sample_and_log_prob(KEY, (2,)),
    ):
        with pytest.raises(ValueError, match="needs context="):
            call()
    with pytest.raises(ValueError, match=r"context must end in shape \(3,\)"):
        conditional.sample(KEY, (), jnp.zeros(2))
    with pytest.raises(ValueError, match=r"ask for shape \(5, 4\)"):
        conditional.sample(KEY, (5,), jnp.zeros((4, 3)))
    with pytest.raises(ValueError, match="differ in event shape"):
        Flow(StandardNormal((3,)), Planar(2, key=KEY))


@pytest.mark.parametrize("name", flows.names())
def test_recipes_say_what_they_are(name):
    recipe = flows.find(name)
    for text in (recipe.paper, recipe.sampling, recipe.density, recipe.best_for):
        assert len(text) > 3
    # Only where a formula for it is estimated or integrated does it say more.
    assert (recipe.log_det == "exact") == (name not in ("residual", "continuous"))
    assert len(recipe.log_det) > 3


@pytest.mark.parametrize("name", flows.names())
@pytest.mark.few(2)
def test_recipes_start_near_their_base(name):
    flow = flows.build(name, KEY, 3)
    draws = np.asarray(flow.sample(jax.random.key(1), (4000,)))
    base = np.asarray(flow.base.sample(jax.random.key(2), (4000,)))
    assert np.abs(draws.mean(0) - base.mean(0)).max() < 0.35
    ratio = draws.std(0) / base.std(0)
    assert ratio.min() > 0.7 and ratio.max() < 1.4


@pytest.mark.parametrize("layers", [1, 2, 3, 5])
@pytest.mark.parametrize("name", ["planar_radial", "nice", "real_nvp"])
@pytest.mark.few(2)
def test_any_number_of_layers(name, layers):
    """Layers in pairs are as many as asked for, odd numbers too."""
    sizes = [count_parameters(flows.build(name, KEY, 4, layers=n)) for n in (layers, layers + 2)]
    per_pair = count_parameters(flows.build(name, KEY, 4, layers=3)) - count_parameters(
        flows.build(name, KEY, 4, layers=1)
    )
    assert sizes[1] - sizes[0] == per_pair > 0


@pytest.mark.parametrize(
    "options", [{"order": "random"}, {"order": "paired"}, {"blocks": 1}, {"groups": 2}]
)
@pytest.mark.few(1)
def test_options_of_autoregressive_stacks(options):
    plain, flow = (
        moved(flows.build("maf", KEY, 4, layers=2, hidden=(8,), **o), 1, 0.3) for o in ({}, options)
    )
    x, log_q = flow.sample_and_log_prob(KEY, (5,))
    np.testing.assert_allclose(flow.log_prob(x), log_q, rtol=1e-9)
    assert np.abs(plain.log_prob(x) - log_q).min() > 1e-6


@pytest.mark.parametrize("layers", [1, 2, 3, 6])
@pytest.mark.few(2)
def test_orders_of_autoregressive_stacks(layers):
    keys = jax.random.split(KEY, layers)
    back = np.arange(9)[::-1]
    assert np.all(orders("reversed", 9, keys) == back)
    drawn, paired = orders("random", 9, keys), orders("paired", 9, keys)
    np.testing.assert_array_equal(np.sort(drawn), np.broadcast_to(np.arange(9), drawn.shape))
    assert len({tuple(map(int, order)) for order in drawn}) == layers
    # From the data, the last layer, on: back, drawn, back, drawn …
    np.testing.assert_array_equal(paired[::-1][::2], np.broadcast_to(back, paired[::2].shape))
    np.testing.assert_array_equal(paired[::-1][1::2], drawn[::-1][1::2])


def test_diagonal_scaling_is_optional():
    plain, scaled = (flows.build("nice", KEY, 3, diagonal=d) for d in (False, True))
    assert count_parameters(scaled) - count_parameters(plain) == 3


def test_gaussian_recipes_are_gaussian():
    """An affine flow's density is the normal density of its mean and covariance."""
    flow = flows.build("gaussian", KEY, 3)
    flow = jax.tree.map(lambda a: a + 0.5 * jax.random.normal(KEY, a.shape), flow)
    x = jax.random.normal(jax.random.key(1), (10, 3))
    jacobian = np.asarray(jax.jacfwd(flow.bijection.forward)(jnp.zeros(3)))
    normal = stats.multivariate_normal(flow.bijection.forward(jnp.zeros(3)), jacobian @ jacobian.T)
    np.testing.assert_allclose(flow.log_prob(x), normal.logpdf(x), rtol=1e-9)


def test_any_base():
    """A flow stands on any base of its shape, and takes its tails and its edges."""
    affine = TriangularAffine(2)
    x = jnp.array([[0.5, 0.3], [30.0, -20.0]])
    heavy = Flow(StudentT(3.0, dim=2), affine)
    np.testing.assert_allclose(heavy.log_prob(x), stats.t(3).logpdf(x).sum(-1), rtol=1e-10)
    boxed = Flow(Uniform([0.0, 0.0], [1.0, 2.0]), affine)
    np.testing.assert_allclose(boxed.log_prob(x), [-np.log(2), -np.inf])
    full = FullNormal(jnp.ones(2), jnp.array([[1.0, 0.0], [0.5, 2.0]]))
    nested = Flow(Flow(full, affine), Chain([], shape=(2,)))
    np.testing.assert_allclose(nested.log_prob(x), full.log_prob(x), rtol=1e-10)


def test_events_of_any_shape():
    flow = Flow(StandardNormal((2, 3)), ElementwiseAffine((2, 3)))
    x, log_q = flow.sample_and_log_prob(KEY, (4,))
    assert x.shape == (4, 2, 3)
    np.testing.assert_allclose(flow.log_prob(x), log_q, rtol=1e-12)


def test_numpy_and_lists_are_welcome(unchecked_shapes):
    flow = flows.build("mean_field", KEY, 2)
    assert flow.log_prob(np.zeros((3, 2))).shape == (3,)
    assert flow.log_prob([0.0, 1.0]).shape == ()


def test_same_key_same_draws_other_key_other_draws():
    flow = flows.build("mean_field", KEY, 2)
    one, same = (flow.sample(KEY, (5,)) for _ in range(2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, flow.sample(jax.random.key(1), (5,)))


@pytest.mark.parametrize("rows", [8, 9, 11])
@pytest.mark.few(2)
def test_many_events_go_through_in_pieces_and_come_back_in_order(monkeypatch, rows):
    flow = flows.build("real_nvp", jax.random.key(0), 3, layers=2, hidden=(rows,))
    x = jax.random.normal(jax.random.key(1), (rows, 3))
    expected = jnp.stack([flow.log_prob(row) for row in x])
    monkeypatch.setattr(distribution, "COLUMNS", 4)
    np.testing.assert_allclose(flow.log_prob(x), expected, rtol=1e-10)
    x, log_q = flow.sample_and_log_prob(jax.random.key(2), (rows,))
    np.testing.assert_allclose(log_q, [flow.log_prob(row) for row in x], rtol=1e-9)
