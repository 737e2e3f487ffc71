"""A small fit that tests of the training loop share, and who interrupts it."""

import itertools
import json
import signal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.files.tensors import read_tensors, write_tensors
from thalweg.flows.fresh import FlowRecipe
from thalweg.gaussians import Gaussian
from thalweg.inference.fitting.flow import whitened_flows
from thalweg.objectives import Annealing, ReverseKL
from thalweg.training import Silent, train

STEPS = 100
RATE = 0.05
RECIPE = FlowRecipe("planar", 2, (("layers", 2),))


def log_density(x):
    """Not a number for x₁ > 40, where no good fit ever looks."""
    value = -0.5 * ((x[0] - 1) ** 2 + 4 * (x[1] + 0.2 * x[0] ** 2) ** 2)
    return jnp.where(x[0] > 40, jnp.nan, value)


KL = ReverseKL(log_density, 8, "path", Annealing([1.0, 1.0], np.inf))


def models(first=0.0, second=0.0):
    """Two fresh flows, each around a place of its own."""
    frames = [
        Gaussian(np.full(2, at), np.array([[1.0, 0.0], [0.3, 0.7]])) for at in (first, second)
    ]
    return whitened_flows(RECIPE, jax.random.key(0), frames)


def run(start=None, objective=KL, seed=1, steps=STEPS, **options):
    start = models() if start is None else start
    options = {"learning_rate": RATE, **options}
    return train(start, objective, jax.random.key(seed), steps=steps, **options)


def arrays(tree, restart=slice(None)):
    return [np.asarray(leaf)[restart] for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_array))]


def running_mean(values):
    """As the loop has it: the first value counts in full, a later one for a quarter."""
    return np.array(list(itertools.accumulate(values, lambda old, new: old + 0.25 * (new - old))))


def same(one, other, restart=slice(None)):
    pairs = zip(arrays(one, restart), arrays(other, restart), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def aged(checkpoint, seconds):
    """Let what a checkpoint holds have taken so much longer."""
    tensors, words = read_tensors(checkpoint)
    history = json.loads(words["history"])
    history["seconds"] = [spent + seconds for spent in history["seconds"]]
    write_tensors(checkpoint, tensors, {**words, "history": json.dumps(history)})


class PressesCtrlC(Silent):
    def __init__(self, at):
        self.at, self.messages = at, []

    def update(self, stage, step, steps, value):
        if step == self.at:
            signal.raise_signal(signal.SIGINT)

    def message(self, text):
        self.messages.append(text)
