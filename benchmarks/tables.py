"""Real tables, standardised and split into training, validation and test rows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

NAMES = ("circles", "breast_cancer", "digits", "power_plant", "protein")
COLUMNS = ("bimodal", "heavy", "bounded")  # of 2,500 rows


class Split(NamedTuple):
    """float32 rows of columns with mean 0 and variance 1, and the nats a row that this added."""

    learned: np.ndarray
    held_out: np.ndarray
    test: np.ndarray
    nats: float


def load(name: str, *, filled: bool = True) -> np.ndarray:
    """The rows of a table: of scikit-learn, or of the folder $THALWEG_DATA.

    Counts get uniform noise in their cells where they are to be `filled`.
    """
    from sklearn import datasets

    if name in COLUMNS:
        return one_column(name)
    if name in ("wine", "breast_cancer", "diabetes"):
        return getattr(datasets, f"load_{name}")().data
    if name == "circles":
        return datasets.make_circles(2000, factor=0.5, noise=0.05, random_state=0)[0]
    if name == "digits":
        rows = datasets.load_digits().data
        return rows + np.random.default_rng(0).uniform(size=rows.shape) if filled else rows
    folder = Path(os.environ.get("THALWEG_DATA", "")) / "tables"
    if name == "power_plant":
        return np.loadtxt(folder / "power_plant.csv", delimiter=",", skiprows=1)
    if name == "protein":
        return np.load(folder / "protein.npz")["X"].astype(float)
    raise ValueError(f"no table {name!r}; tables: {', '.join(NAMES)}")


def one_column(name: str) -> np.ndarray:
    """A column of one of three shapes: two modes, heavy tails, and a bounded one with an edge."""
    random = np.random.default_rng(0)
    first, second = random.normal(-2, 0.5, 2500), random.normal(1.5, 1, 2500)
    made = {
        "bimodal": np.where(random.random(2500) < 0.4, first, second),
        "heavy": random.standard_t(2, 2500),
        "bounded": random.beta(0.8, 2.0, 2500),
    }
    return made[name][:, None]


def split(name: str, seed: int = 0) -> Split:
    """Split off a tenth as test rows, a tenth as validation rows; the others are training rows."""
    rows = load(name)
    rows = rows[np.random.default_rng(seed).permutation(len(rows))]
    tenth = len(rows) // 10
    learned = rows[2 * tenth :]
    loc, scale = learned.mean(0), learned.std(0)
    scale = np.where(scale > 0, scale, 1.0)
    parts = (learned, rows[tenth : 2 * tenth], rows[:tenth])
    ready = [((part - loc) / scale).astype(np.float32) for part in parts]
    return Split(*ready, float(np.log(scale).sum()))
