"""Stages, names of objectives, and values that can be compared, as progress shows them."""

import jax.numpy as jnp
import numpy as np
import pytest
from training.fits import log_density, run

import thalweg as tw
from thalweg.objectives import Annealing, ForwardKL, ReverseKL
from thalweg.training import Silent


class Hears(Silent):
    def __init__(self):
        self.stages, self.values = [], []

    def stage(self, *given):
        self.stages.append(given)

    def update(self, stage, step, steps, value):
        self.values.append(value)


def test_values_under_an_annealed_target_are_not_shown():
    schedule = Annealing([1.0, 0.01], [np.inf, 1e6])
    heard = Hears()
    found = run(objective=ReverseKL(log_density, 8, "path", schedule), progress=heard)
    values = np.array(found.history.value)
    assert (values[:, 1] < values[:, 0]).any()  # of the annealed restart
    np.testing.assert_allclose(heard.values, values[:, 0])
    assert heard.stages == [("compiling", None, None, "−ELBO", "nats")]


@pytest.mark.parametrize(
    ("objective", "title", "unit"),
    [
        (ReverseKL(log_density, 8), "−ELBO", "nats"),
        (ReverseKL(log_density, 8, annealing=Annealing(0.1, 50)), "free energy", "nats"),
        (ForwardKL(jnp.zeros((3, 1))), "NLL", "nats a row"),
        (tw.objectives.DequantisedBound(jnp.zeros((3, 2), int), 2), "NLL bound", "nats a row"),
    ],
)
def test_objectives_have_names_and_units(objective, title, unit):
    assert (objective.title, objective.unit) == (title, unit)
