"""Hundreds of calls that must be refused with a `ValueError` of one sentence."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from bad_calls import CALLS

import thalweg as tw


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """The objects of the expressions."""
    place = tmp_path_factory.mktemp("calls")
    (place / "full").mkdir()
    (place / "full" / "thesis.txt").write_text("ten years of work")
    rng = np.random.default_rng(0)
    return {
        "tw": tw,
        "nan": np.nan,
        "inf": np.inf,
        "two": np.array([1, 2]),
        "f": lambda x: -0.5 * jnp.sum(x**2),
        "X": rng.normal(size=(60, 2)),
        "images": (rng.random((12, 4, 4)) > 0.5).astype(np.uint8),
        "key": jax.random.key(0),
        "full": str(place / "full"),
        "posterior": tw.infer(
            "two_modes", flow="planar", layers=1, steps=2, restarts=1, progress=False
        ),
    }


def fault(call, names):
    """Return what is wrong with the answer to a call that must be refused, else None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            eval(call, dict(names))
    except ValueError as error:
        sentence = str(error)
        good = "\n" not in sentence.strip() and 15 < len(sentence) < 2000
        return None if good else f"{call}: {sentence!r:.300}"
    except BaseException as error:
        return f"{call}: {error!r:.300}"
    return f"{call}: no error"


def test_there_are_hundreds():
    assert len({call for calls in CALLS.values() for call in calls}) >= 150


@pytest.mark.parametrize("kind", CALLS)
def test_t_bad_calls_are_refused_in_one_sentence(kind, names):
    faults = [found for call in CALLS[kind] if (found := fault(call, names))]
    assert not faults, "\n".join(faults)
