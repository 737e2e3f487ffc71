"""A small fit that tests of inference share, and who listens to one or interrupts it."""

import math
import signal

from thalweg.inference import infer
from thalweg.targets import Target
from thalweg.training import Silent

# One budget and one density for most tests: they then share all compiled programs.
BUDGET = {
    "flow": "planar",
    "layers": 2,
    "steps": 200,
    "batch_size": 32,
    "restarts": 2,
    "progress": False,
}
NUMBERS = {"elbo", "elbo_se", "log_evidence", "log_evidence_se", "khat", "ess_fraction"}


def skewed(x):
    """A normalised density far from the origin, of two scales, slightly bent."""
    bend = -1.0 + 0.005 * (x[0] - 3.0) ** 2
    first, second = (x[0] - 3.0) / 2.0, (x[1] - bend) / 0.1
    return -0.5 * (first**2 + second**2) - math.log(2 * math.pi * 2.0 * 0.1)


SKEWED = Target("skewed", 2, skewed, log_z=0.0, parameter_names=("mu", "log_sigma"))


def fit(target=SKEWED, **changes):
    return infer(target, **{**BUDGET, **changes})


class Listener(Silent):
    """Keeps what is reported, and presses Ctrl-C at a step of a stage."""

    def __init__(self, stage=None, at=None):
        self.stage, self.at, self.stages, self.messages = stage, at, [], []

    def update(self, stage, step, steps, value):
        if stage not in self.stages:
            self.stages.append(stage)
        if (stage, step) == (self.stage, self.at):
            signal.raise_signal(signal.SIGINT)

    def message(self, text):
        self.messages.append(text)
        if text.startswith("looking") and self.stage == "start":
            signal.raise_signal(signal.SIGINT)
