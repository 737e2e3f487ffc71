"""E3: two circles by a spline autoregressive flow, 1000 points, 2000 steps of all of them.

The source's setting is one layer with a wide network and no held-out points: it learns single
points. Beside it stand many layers of few bins and noise on the data, judged by held-out points.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import ive

from thalweg import flows
from thalweg.distributions import Ensemble, Flow
from thalweg.experiments.circles_figure import draw_circles
from thalweg.experiments.panels import log_prob
from thalweg.experiments.record import Result, command_line, save_figure, write
from thalweg.objectives import ForwardKL
from thalweg.plots.style import minus
from thalweg.training import Reporter, train
from thalweg.tree import count_parameters, pick

FACTOR, NOISE = 0.5, 0.05  # the inner radius, and the noise of the points
SEEN = (0, 500, 1000, 1500)  # steps whose losses the source prints
SOURCE = (2.885, 1.867, 1.846, 1.739)


@dataclass(frozen=True)
class Setting:
    """A flow and how it is fitted; `noise` is in units of the standardised data."""

    label: str
    options: Mapping[str, Any]
    noise: float = 0.0
    members: int = 1


SETTINGS = (
    Setting("as the source", {"layers": 1, "hidden": (256, 256), "bins": 8, "bound": 3.0}),
    Setting("8 layers of 3 bins", {"layers": 8, "hidden": (16, 16), "bins": 3, "bound": 3.0}),
    Setting(
        "8 layers of 3 bins, noise 0.04",
        {"layers": 8, "hidden": (16, 16), "bins": 3, "bound": 3.0},
        noise=0.04,
    ),
    Setting(
        "the same, mean of 8",
        {"layers": 8, "hidden": (16, 16), "bins": 3, "bound": 3.0},
        noise=0.04,
        members=8,
    ),
)


@dataclass(frozen=True)
class Study:
    """What is spent."""

    settings: tuple[Setting, ...] = SETTINGS
    seeds: int = 3
    steps: int = 2000
    rows: int = 1000
    held_out: int = 20_000
    learning_rate: float = 5e-3


FULL = Study()
QUICK = Study(settings=SETTINGS[1:3], seeds=1, steps=100, held_out=2000)


class Data(NamedTuple):
    """Standardised by the mean and standard deviation of the rows that are learned from.

    `entropy` is −mean ln p of the true density over the held-out rows, in the same units.
    """

    train: np.ndarray
    held_out: np.ndarray
    entropy: float


class Outcome(NamedTuple):
    """Of one setting and seed: losses at `SEEN`, NLL of both parts, and the flow."""

    setting: Setting
    seed: int
    losses: list[float]
    train: float
    held_out: float
    entropy: float
    seconds: float
    model: Ensemble


def on_circles(angle: np.ndarray, radius: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Points at these angles and radii, with normal noise."""
    points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    return points + NOISE * rng.normal(size=points.shape)


def log_density(points: np.ndarray) -> np.ndarray:
    """ln p of the circles with noise: angles integrate to a Bessel function."""
    # ∫ N(x; r(cos t, sin t), s²) dt / 2π = exp(−(|x| − r)²/2s²) I₀ₑ(|x| r / s²) / (2πs²)
    size = np.hypot(*points.T)
    each = [
        np.exp(-((size - r) ** 2) / (2 * NOISE**2)) * ive(0, size * r / NOISE**2)
        for r in (1.0, FACTOR)
    ]
    return np.log(sum(each) / 2) - np.log(2 * np.pi * NOISE**2)


def make_data(study: Study, seed: int) -> Data:
    """Rows to learn from at even angles, as scikit-learn's `make_circles` has them; others at
    angles drawn at random.
    """
    rng = np.random.default_rng(seed)
    half = study.rows // 2
    turn = np.linspace(0, 2 * np.pi, half, endpoint=False)
    train = on_circles(np.tile(turn, 2), np.repeat([1.0, FACTOR], half), rng)
    angle = 2 * np.pi * rng.random(study.held_out)
    radius = np.where(rng.random(study.held_out) < 0.5, 1.0, FACTOR)
    held_out = on_circles(angle, radius, rng)
    mean, scale = train.mean(0), train.std(0)
    entropy = -log_density(held_out).mean() - np.log(scale).sum()
    return Data((train - mean) / scale, (held_out - mean) / scale, float(entropy))


def fit(setting: Setting, study: Study, seed: int, reporter: Reporter) -> Outcome:
    """All members at once, each with its own start and noise."""
    begun = time.monotonic()
    data = make_data(study, seed)
    build, run = jax.random.split(jax.random.key(seed))

    def make(key: jax.Array) -> Flow:
        return flows.build("neural_spline_autoregressive", key, 2, **setting.options)

    models = eqx.filter_vmap(make)(jax.random.split(build, setting.members))
    rows = jnp.asarray(data.train, float)
    first = -float(np.mean(log_prob(pick(0, models), data.train)))
    trained = train(
        models,
        ForwardKL(rows, noise=setting.noise),
        run,
        steps=study.steps,
        learning_rate=study.learning_rate,
        stage=f"{setting.label}, seed {seed}",
        progress=reporter,
    )
    if trained.interrupted:
        raise KeyboardInterrupt
    steps = np.asarray(trained.history.step)
    values = np.asarray(trained.history.value)[:, 0]
    losses = [first if at == 0 else float(np.interp(at, steps, values)) for at in SEEN]
    model = Ensemble(trained.models)
    return Outcome(
        setting,
        seed,
        losses,
        -float(log_prob(model, data.train).mean()),
        -float(log_prob(model, data.held_out).mean()),
        data.entropy,
        time.monotonic() - begun,
        model,
    )


def run(folder: Path, *, quick: bool = False, seeds: int | None = None) -> dict[str, Any]:
    """Fit, draw, write. Raises `KeyboardInterrupt` after Ctrl-C."""
    begun = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    study = QUICK if quick else FULL
    study = study if seeds is None else dataclasses.replace(study, seeds=seeds)
    reporter = Reporter()
    outcomes = [
        fit(setting, study, seed, reporter)
        for setting in study.settings
        for seed in range(study.seeds)
    ]
    picture = "circles.png"
    save_figure(folder / picture, draw_circles(outcomes, make_data(study, 0)))
    return write(
        folder,
        Result(
            name="circles",
            title="Two circles: held-out NLL in nats",
            rows=[row_of(outcome) for outcome in outcomes],
            head=[
                "setting",
                "parameters",
                *(f"loss at {at}" for at in SEEN),
                "train NLL",
                "held-out NLL",
                "entropy",
            ],
            body=table(outcomes, study),
            command=command_line("circles", folder, quick=quick, seeds=seeds),
            seeds=list(range(study.seeds)),
            settings=dataclasses.asdict(study),
            seconds=time.monotonic() - begun,
            files=[picture],
            notes=[
                f"{_over(study)} of {study.rows} points; {study.held_out} points are held out. The "
                "entropy is −mean ln p of the true density over them: no flow can be below it.",
                "Losses are means over the steps of one percent of the run; with noise they are "
                "of points with the noise. The source's run has no held-out points, and its loss "
                "falls below the entropy: it has begun to learn single points.",
            ],
        ),
    )


def _over(study: Study) -> str:
    return "One set" if study.seeds == 1 else f"Medians over {study.seeds} sets"


def row_of(outcome: Outcome) -> dict[str, Any]:
    """What goes to the CSV."""
    return {
        "setting": outcome.setting.label,
        "seed": outcome.seed,
        "parameters": parameters_of(outcome),
        "members": outcome.setting.members,
        **{f"loss_{at}": loss for at, loss in zip(SEEN, outcome.losses, strict=True)},
        "train_nll": outcome.train,
        "held_out_nll": outcome.held_out,
        "entropy": outcome.entropy,
        "seconds": round(outcome.seconds, 1),
    }


def parameters_of(outcome: Outcome) -> int:
    """Of all members together."""
    return count_parameters(outcome.model)


def table(outcomes: list[Outcome], study: Study) -> list[list[str]]:
    """The source's losses, then a row for each setting with medians over seeds."""
    body = [["the source's run", "", *(f"{loss:.3f}" for loss in SOURCE), "", "", ""]]
    for setting in study.settings:
        mine = [outcome for outcome in outcomes if outcome.setting is setting]
        numbers = [[*o.losses, o.train, o.held_out, o.entropy] for o in mine]
        middle = np.median(np.asarray(numbers), 0)
        body.append(
            [
                setting.label,
                str(parameters_of(mine[0])),
                *(minus(f"{value:.3f}") for value in middle),
            ]
        )
    return body
