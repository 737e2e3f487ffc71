"""PyMC models that are refused, each in one sentence."""

import jax
import pytest
from targets.frameworks.pymc_models import SCALE, Y, nothing, pm, pytensor, schools

from thalweg.targets import from_pymc


def refused(model):
    with pm.Model() as context:
        model()
    with pytest.raises(ValueError) as caught:
        from_pymc(context)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def discrete():
    pm.Normal("y", pm.Poisson("count", 3), 1, observed=1.0)


def circular():
    pm.VonMises("angle", 0, 1)
    nothing()


def batches():
    pm.Normal("y", pm.Normal("mu"), 1, observed=pm.Minibatch(Y, batch_size=4), total_size=8)


def batches_of_inputs():
    x, y = pm.Minibatch(SCALE, Y, batch_size=4)
    pm.Normal("y", pm.Normal("slope") * x, 1, observed=y, total_size=8)


def foreign():
    class Foreign(pytensor.graph.Op):
        def make_node(self, x):
            return pytensor.graph.Apply(self, [x], [x.type()])

        def perform(self, node, inputs, outputs):
            outputs[0][0] = inputs[0]

        def __str__(self):
            return "Foreign"

    pm.Normal("y", Foreign()(pm.Normal("mu")), 1, observed=1.0)


def hidden_noise():
    pm.Normal("y", pm.Normal("mu") + pm.Normal.dist(0, 1), 1, observed=1.0)


def simulated():
    def draw(rng, mu, size):
        return rng.normal(mu, size=size)

    pm.Simulator("y", draw, pm.Normal("mu"), observed=Y)


def backwards():
    pm.Uniform("u", 5, 0)
    nothing()


def empty():
    pm.Normal("x", shape=0)
    nothing()


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (discrete, "variable 'count' of the model 'model' is discrete"),
        (circular, "variable 'angle' of the model 'model' lies on a circle"),
        (batches, "variable 'y' of the model 'model' takes a minibatch"),
        (batches_of_inputs, "variable 'y' of the model 'model' takes a minibatch"),
        (foreign, "the model 'model' is beyond JAX: JAX cannot run 'Foreign' of its density"),
        (hidden_noise, "the model 'model' has no density of its own: ValueError: Random variables"),
        (simulated, "has a density with random numbers in it"),
        (backwards, "variable 'u' of no support: an interval needs low < high, got 5, 0"),
        (empty, "has no parameters: its free variables are of size 0"),
        (lambda: pm.Normal("x"), "has no data: none of its variables (x) is observed"),
        (lambda: pm.Normal("y", observed=Y), "the model 'model' has no parameters"),
    ],
)
def test_bad_models_are_refused_in_one_sentence(model, says):
    assert says in refused(model)


def test_sums_of_zero_need_float64():
    with pm.Model() as context:
        pm.ZeroSumNormal("effects", shape=4)
        nothing()
    with jax.enable_x64(False), pytest.raises(ValueError, match=r"'effects' .* add up to 0 within"):
        from_pymc(context)


@pytest.mark.parametrize("thing", [None, pm.Model, schools, "model"])
def test_other_objects_than_models_are_refused(thing):
    with pytest.raises(ValueError, match=r"made of a pm\.Model, got (NoneType|Model|schools|str)$"):
        from_pymc(thing)
