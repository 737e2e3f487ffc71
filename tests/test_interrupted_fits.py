"""Ctrl-C in Python: all three fits keep what was learned, say so, and raise nothing."""

import signal
from contextlib import nullcontext

import numpy as np
import pytest

import thalweg as tw
from thalweg.density import estimator
from thalweg.training import Silent


class PressesCtrlC(Silent):
    """Presses Ctrl-C once, after the first chunk of a stage that fits a flow."""

    pressed = False

    def update(self, stage, step, steps, value):
        if stage != "gaussian" and not self.pressed:
            self.pressed = True
            signal.raise_signal(signal.SIGINT)


def infer():
    options = {"flow": "planar", "layers": 1, "steps": 2000, "restarts": 1, "batch_size": 64}
    posterior = tw.infer("banana", progress=PressesCtrlC(), **options)
    return posterior.interrupted, posterior.sample(3)


def estimate():
    model = tw.DensityEstimator("maf", layers=1, hidden=(4,), members=1, steps=2000, noise=0.1)
    with pytest.warns(UserWarning) as warned:
        model.fit(np.random.default_rng(0).normal(size=(60, 2)))
    assert "interrupted before its 2000 steps" in " ".join(str(one.message) for one in warned)
    assert model.history_.step[-1] < 2000
    return model.interrupted_, model.sample(3)


def encode():
    model = tw.LatentGaussianModel(
        2, "none", hidden=(4,), steps=2000, batch_size=8, progress=PressesCtrlC()
    )
    model.fit(np.random.default_rng(0).random((20, 4)))
    return model.interrupted, model.sample(3)


@pytest.mark.parametrize("fit", [infer, estimate, encode])
def test_ctrl_c_keeps_what_was_learned(fit, monkeypatch):
    monkeypatch.setattr(estimator, "showing", lambda asked: nullcontext(PressesCtrlC()))
    interrupted, draws = fit()
    assert interrupted
    assert np.isfinite(np.asarray(draws)).all()
