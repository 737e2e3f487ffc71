"""The model as its users meet it: any likelihood, any flow, any prior; and what it refuses."""

import jax
import numpy as np
import pytest

from thalweg.latent import LatentGaussianModel, fit
from thalweg.tree import count_parameters

RNG = np.random.default_rng(0)
SHAPE = (4, 3)
BINARY = (RNG.random((60, *SHAPE)) < RNG.random((60, 1, 1))).astype(float)
LONGER = {"steps": 500, "learning_rate": 1e-2}
QUICK = {"latent": 2, "hidden": (8,), "steps": 20, "batch_size": 16, "progress": False}


def fitted(images=BINARY, **options):
    layers = {} if options.get("flow") == "none" else {"layers": 2}
    return LatentGaussianModel(**{**QUICK, **layers, **options}).fit(images)


@pytest.fixture(scope="module")
def model():
    return fitted(**LONGER)


def test_it_learns(model):
    bound, error = model.elbo(BINARY)
    assert bound.shape == error.shape == (60,)
    assert bound.mean() > -SHAPE[0] * SHAPE[1] * np.log(2)
    assert -np.mean(model.history.value[-5:]) > -np.mean(model.history.value[:5]) + 0.5
    assert model.parameters == count_parameters(model.model) > 0


def test_importance_is_above_the_bound(model):
    bound, bound_error = model.elbo(BINARY, draws=500)
    value, error = model.log_likelihood(BINARY, draws=500)
    assert (value > bound - 3 * (bound_error + error)).all()
    assert (value < 0).all()


@pytest.mark.slow
def test_a_normal_of_each_image_is_no_worse_than_the_encoders(model):
    found = model.gaps(BINARY[:7], draws=500)
    assert found.bound.shape == (7,)
    assert (found.full > found.bound - 0.1).all()
    assert (found.log_likelihood > found.full - 0.02).all()


def test_images_come_back_in_their_shape(model):
    assert model.sample(5).shape == (5, *SHAPE)
    assert set(np.unique(model.sample(50))) == {0.0, 1.0}
    shown = model.sample(50, mean=True)
    assert ((shown > 0) & (shown < 1)).all()
    assert model.encode(BINARY[:7]).shape == (7, 2)
    assert model.reconstruct(BINARY[:7]).shape == (7, *SHAPE)
    assert model.decode(np.zeros((3, 2))).shape == (3, *SHAPE)


def test_seeds_say_what_is_drawn(model):
    np.testing.assert_array_equal(model.sample(5, seed=3), model.sample(5, seed=3))
    assert (model.sample(50, seed=3) != model.sample(50, seed=4)).any()
    again = fitted(**LONGER)
    np.testing.assert_array_equal(model.decode(np.ones((1, 2))), again.decode(np.ones((1, 2))))


@pytest.mark.parametrize(
    "options",
    [
        {"latent": (2, 3), "nonlinearity": "maxout", "draws": 3},
        {"prior": "real_nvp", "amortised": False, "annealed": "likelihood", "optimiser": "rmsprop"},
        {"flow": "none", "network": "convolutional", "hidden": (3, 8)},
        {"flow": "iaf", "free_bits": 0.1, "drop": 0.2},
    ],
    ids=lambda options: " ".join(options),
)
@pytest.mark.few(1)
def test_every_choice_learns_and_is_evaluated(options):
    found = fitted(**options)
    value, error = found.log_likelihood(BINARY[:9], draws=10)
    assert np.isfinite(value).all()
    assert np.isfinite(error).all()
    assert np.isfinite(found.sample(2)).all()


@pytest.mark.parametrize(
    ("likelihood", "images"),
    [
        ("bernoulli", RNG.random((20, 5))),
        ("gaussian", RNG.normal(size=(20, 5))),
        ("logit_normal", RNG.uniform(0.01, 0.99, (20, 2, 2, 3))),
        ("discretised_logistic", RNG.integers(0, 256, (20, 5)).astype(np.uint8)),
    ],
)
@pytest.mark.few(1)
def test_every_likelihood_takes_its_images(likelihood, images):
    found = fitted(images, likelihood=likelihood)
    assert np.isfinite(found.elbo(images, draws=2)[0]).all()
    assert found.sample(3).shape == (3, *images.shape[1:])


WITH_NAN = BINARY.copy()
WITH_NAN[17, 2, 1] = np.nan


@pytest.mark.parametrize(
    ("images", "options", "says"),
    [
        (np.zeros(12), {}, "images come as an array"),
        (np.zeros((0, 12)), {}, "images come as an array"),
        (np.array([["a", "b"]]), {}, "arrays of numbers"),
        (WITH_NAN, {}, "image 17 holds values that are not finite"),
        (BINARY * 3, {}, r"\[0, 1\] or be bytes, got values from 0 to 3"),
        (BINARY - 0.5, {}, r"values from -0.5 to 0.5"),
        (0.5 * BINARY, {"binarisation": "none"}, "needs zeros and ones"),
        (0.5 * BINARY, {"binarisation": "fixed"}, "unknown binarisation"),
        (BINARY, {"likelihood": "logit_normal"}, "strictly between 0 and 1"),
        (BINARY, {"likelihood": "gaussian", "binarisation": "dynamic"}, "not binarised"),
        (BINARY, {"likelihood": "poisson"}, "unknown likelihood 'poisson'"),
        (BINARY, {"flow": "plannar"}, "unknown flow 'plannar'"),
        (BINARY, {"flow": "none", "layers": 3}, "nothing that layers could set"),
        (BINARY, {"network": "dence"}, "unknown network 'dence'; known: dense, convolutional"),
        (BINARY, {"network": "convolutional", "latent": (2, 3)}, "one layer of latent variables"),
        (BINARY, {"network": "convolutional", "nonlinearity": "tanh"}, "got 'tanh'"),
        (BINARY.reshape(len(BINARY), -1), {"network": "convolutional"}, r"images \(h, w\)"),
        (BINARY, {"optimiser": "sgd"}, "unknown optimiser 'sgd'"),
        (BINARY, {"matmul": "half"}, "unknown matmul 'half'; known: float32"),
        (BINARY, {"latent": 0}, "latent must be"),
        (BINARY, {"latent": (2, -1)}, "latent must be"),
        (BINARY, {"hidden": (0,)}, "each of hidden must be a whole number of at least 1, got 0"),
        (BINARY, {"hidden": 16}, "hidden must be a list of whole numbers, got 16"),
        (BINARY, {"steps": 0}, "steps must be"),
        (BINARY, {"weight_decay": -1.0}, "weight_decay must be"),
        (BINARY, {"drop": 1.0}, "drop must be"),
        (BINARY, {"warm_up": 2.0}, "warm_up"),
        (BINARY, {"valid_fraction": 1.0}, "valid_fraction"),
        (BINARY, {"draws": 0}, "draws must be a whole number of at least 1"),
    ],
)
def test_what_cannot_be_learned_from_is_said(images, options, says):
    with pytest.raises(ValueError, match=says):
        fitted(images, **options)


def test_a_model_knows_its_shape(model):
    with pytest.raises(ValueError, match=r"images of shape \(4, 3\), got \(12,\)"):
        model.elbo(BINARY.reshape(60, 12))
    with pytest.raises(ValueError, match=r"\(rows, 2\)"):
        model.decode(np.zeros((3, 4)))
    with pytest.raises(ValueError, match="call fit first"):
        LatentGaussianModel().sample(1)


@pytest.mark.slow
def test_held_out_images_may_be_given():
    found = LatentGaussianModel(**QUICK, flow="none").fit(BINARY[:40], BINARY[40:])
    assert np.isfinite(found.history.held_out).all()
    with pytest.raises(ValueError, match="held-out ones"):
        LatentGaussianModel(**QUICK, flow="none").fit(BINARY, BINARY.reshape(60, 12))


def test_products_are_rounded_while_training_and_then_no_more(monkeypatch):
    seen = []

    def train(*args, **options):
        seen.append(jax.config.jax_default_matmul_precision)
        raise KeyboardInterrupt

    monkeypatch.setattr(fit, "train", train)
    for asked in (None, "bfloat16"):
        with pytest.raises(KeyboardInterrupt):
            fitted(matmul=asked)
    assert seen == [None, "bfloat16"]
    assert jax.config.jax_default_matmul_precision is None


@pytest.mark.slow
def test_units_do_not_matter():
    """Moved and scaled columns have the same density, in their own units, to rounding."""
    rng = np.random.default_rng(0)
    x = np.tanh(rng.normal(size=(300, 2)) @ rng.normal(size=(2, 4)))
    loc, scale = np.array([0.0, 5e3, -1e5, 7.0]), np.array([1.0, 1e3, 1e6, 1e-4])

    def bounds(data):
        model = LatentGaussianModel(
            2, layers=2, likelihood="gaussian", hidden=(8,), steps=100, progress=False
        ).fit(data[:250])
        return model.elbo(data[250:])[0]

    np.testing.assert_allclose(bounds(loc + scale * x), bounds(x) - np.log(scale).sum(), atol=5e-3)


@pytest.mark.slow
def test_one_image_is_enough():
    found = LatentGaussianModel(**QUICK, flow="none").fit(BINARY[:1])
    assert np.isnan(found.history.held_out).all()
    assert np.isfinite(found.elbo(BINARY[:1])[0]).all()


def test_a_draw_from_the_prior_does_not_see_the_encoder_or_the_flow(model):
    latent, _ = jax.random.split(jax.random.key(0))
    z = jax.random.normal(latent, (5, 2))
    np.testing.assert_allclose(model.sample(5, mean=True), model.decode(z), atol=1e-12)
