"""E3: two circles by a spline autoregressive flow, 1000 points, 2000 steps of all of them.

The source's setting is one layer with a wide network and no held-out points: it memorises
single points. Beside it stand many layers of few bins and noise on the data, with held-out NLL.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import ive

from thalweg import flows
from thalweg.distributions import Ensemble, Flow
from thalweg.objectives import ForwardKL
from thalweg.plots.style import LIGHT, LIGHT_MAP, colour_map, new_figure, region_levels
from thalweg.training import Progress, train
from thalweg.tree import count_parameters, pick
from thalweg_studies.cache import FitSpec
from thalweg_studies.panels import grid, log_prob, to_image
from thalweg_studies.report import Report, number, write
from thalweg_studies.run_spec import RunSpec

FACTOR, NOISE = 0.5, 0.05  # the inner radius, and the noise of the points
SEEN = (0, 500, 1000, 1500)  # steps whose losses the source prints
SOURCE = (2.885, 1.867, 1.846, 1.739)
REACH, SIDE = 2.4, 200  # of the figure: [-reach, reach]², points a side


@dataclass(frozen=True)
class FlowSettings:
    """A flow and how it is fitted; `noise` is in units of the standardised data."""

    label: str
    options: Mapping[str, Any]
    noise: float = 0.0
    members: int = 1


FLOWS = (
    FlowSettings("as the source", {"layers": 1, "hidden": (256, 256), "bins": 8, "bound": 3.0}),
    FlowSettings("8 layers of 3 bins", {"layers": 8, "hidden": (16, 16), "bins": 3, "bound": 3.0}),
    FlowSettings(
        "8 layers of 3 bins, noise 0.04",
        {"layers": 8, "hidden": (16, 16), "bins": 3, "bound": 3.0},
        noise=0.04,
    ),
    FlowSettings(
        "the same, mean of 8",
        {"layers": 8, "hidden": (16, 16), "bins": 3, "bound": 3.0},
        noise=0.04,
        members=8,
    ),
)


@dataclass(frozen=True)
class Settings:
    """Which flows, and what is spent on each."""

    flows: tuple[FlowSettings, ...] = FLOWS
    seeds: int = 3
    steps: int = 2000
    rows: int = 1000
    held_out: int = 20_000
    learning_rate: float = 5e-3


FULL = Settings()
QUICK = Settings(flows=FLOWS[1:3], seeds=1, steps=100, held_out=2000)


class Data(NamedTuple):
    """Standardised by the mean and standard deviation of the rows that are learned from.

    `entropy` is −mean ln p of the true density over the held-out rows, in the same units.
    """

    train: np.ndarray
    held_out: np.ndarray
    entropy: float


@dataclass(frozen=True)
class Fit:
    """One flow from one seed: losses at `SEEN`, NLL of training and held-out rows, its density."""

    parameters: int  # of all members together
    losses: list[float]
    train: float
    held_out: float
    entropy: float
    seconds: float
    image: np.ndarray


Fits = Sequence[tuple[FlowSettings, int, Fit]]  # with their seeds


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


def make_data(settings: Settings, seed: int) -> Data:
    """Rows to learn from at even angles, as scikit-learn's `make_circles` has them; others at
    angles drawn at random.
    """
    rng = np.random.default_rng(seed)
    half = settings.rows // 2
    angles = np.linspace(0, 2 * np.pi, half, endpoint=False)
    train = on_circles(np.tile(angles, 2), np.repeat([1.0, FACTOR], half), rng)
    angle = 2 * np.pi * rng.random(settings.held_out)
    radius = np.where(rng.random(settings.held_out) < 0.5, 1.0, FACTOR)
    held_out = on_circles(angle, radius, rng)
    mean, scale = train.mean(0), train.std(0)
    entropy = -log_density(held_out).mean() - np.log(scale).sum()
    return Data((train - mean) / scale, (held_out - mean) / scale, float(entropy))


def fit(
    flow: FlowSettings, seed: int, progress: Progress, stem: Path, *, settings: Settings
) -> Fit:
    """Fit all members at once, each with its own start and noise."""
    begun = time.monotonic()
    data = make_data(settings, seed)
    build, run = jax.random.split(jax.random.key(seed))

    def make(key: jax.Array) -> Flow:
        return flows.build("neural_spline_autoregressive", key, 2, **flow.options)

    models = eqx.filter_vmap(make)(jax.random.split(build, flow.members))
    rows = jnp.asarray(data.train, float)
    first = -float(np.mean(log_prob(pick(0, models), data.train)))
    trained = train(
        models,
        ForwardKL(rows, noise=flow.noise),
        run,
        steps=settings.steps,
        learning_rate=settings.learning_rate,
        stage=f"{flow.label}, seed {seed}",
        progress=progress,
        checkpoint=stem.with_suffix(".checkpoint"),
    )
    if trained.interrupted:
        raise KeyboardInterrupt
    steps = np.asarray(trained.history.step)
    values = np.asarray(trained.history.value)[:, 0]
    losses = [first if at == 0 else float(np.interp(at, steps, values)) for at in SEEN]
    model = Ensemble(trained.models)
    return Fit(
        count_parameters(model),
        losses,
        -float(log_prob(model, data.train).mean()),
        -float(log_prob(model, data.held_out).mean()),
        data.entropy,
        time.monotonic() - begun,
        to_image(log_prob(model, grid(REACH, SIDE))).astype(np.float32),
    )


def run(spec: RunSpec) -> dict[str, Any]:
    """Fit what is missing, draw, write."""
    settings = spec.settings(FULL, QUICK)
    budget = {k: v for k, v in dataclasses.asdict(settings).items() if k not in ("flows", "seeds")}

    def spec_of(flow: FlowSettings, seed: int) -> FitSpec:
        name = f"{flow.label.replace(', ', '-').replace(' ', '-')}-{seed}"
        return FitSpec(name, {**dataclasses.asdict(flow), **budget, "seed": seed})

    keys = [(flow, seed) for flow in settings.flows for seed in range(settings.seeds)]
    found = spec.load_or_run(keys, spec_of, Fit, partial(fit, settings=settings))
    fits = [(*key, each) for key, each in zip(keys, found, strict=True)]
    over = "One set" if settings.seeds == 1 else f"Medians over {settings.seeds} sets"
    report = Report(
        title="Two circles: held-out NLL in nats",
        rows=[row_of(*each) for each in fits],
        table=table(fits, settings),
        figures={"circles.png": draw_circles(fits, make_data(settings, 0))},
        seeds=range(settings.seeds),
        settings=dataclasses.asdict(settings),
        notes=[
            f"{over} of {settings.rows} points; {settings.held_out} points are held out. The "
            "entropy is −mean ln p of the true density over them: no flow can be below it.",
            "Losses are means over the steps of one percent of the run; with noise they are "
            "of points with the noise. The source's run has no held-out points, and its loss "
            "falls below the entropy: it has begun to memorise single points.",
        ],
    )
    return write(spec, report)


def row_of(flow: FlowSettings, seed: int, fit: Fit) -> dict[str, Any]:
    """A row of the CSV."""
    return {
        "setting": flow.label,
        "seed": seed,
        "parameters": fit.parameters,
        "members": flow.members,
        **{f"loss_{at}": loss for at, loss in zip(SEEN, fit.losses, strict=True)},
        "train_nll": fit.train,
        "held_out_nll": fit.held_out,
        "entropy": fit.entropy,
        "seconds": round(fit.seconds, 1),
    }


def table(fits: Fits, settings: Settings) -> list[list[str]]:
    """The source's losses, then a row for each flow with medians over seeds."""
    losses = [f"loss at {at}" for at in SEEN]
    head = ["setting", "parameters", *losses, "train NLL", "held-out NLL", "entropy"]
    body = [["the source's run", "", *(f"{loss:.3f}" for loss in SOURCE), "", "", ""]]
    for flow in settings.flows:
        mine = [fit for each, _, fit in fits if each is flow]
        medians = np.median([[*f.losses, f.train, f.held_out, f.entropy] for f in mine], 0)
        body.append([flow.label, str(mine[0].parameters), *(number(v) for v in medians)])
    return [head, *body]


def draw_circles(fits: Fits, data: Data) -> Figure:
    """The data of the first seed beside the density of each flow's first seed."""
    shown = [(flow, fit) for flow, seed, fit in fits if seed == 0]
    figure = new_figure(2.6 * (1 + len(shown)) + 0.2, 3.3)
    axes = figure.subplots(1, 1 + len(shown), squeeze=False)[0]
    axes[0].scatter(*data.train.T, s=2, color=LIGHT.flow, linewidths=0)
    _frame(axes[0], f"{len(data.train)} points")
    for panel, (flow, fit) in zip(axes[1:], shown, strict=True):
        top = region_levels(fit.image, [0.05])[0]
        panel.imshow(
            fit.image,
            extent=(-REACH, REACH, -REACH, REACH),
            origin="lower",
            cmap=colour_map(LIGHT_MAP),
            vmin=0.0,
            vmax=top,
        )
        _frame(panel, f"{flow.label}\nheld out {fit.held_out:.3f}")
    return figure


def _frame(axes: Axes, title: str) -> None:
    axes.set_xlim(-REACH, REACH)
    axes.set_ylim(-REACH, REACH)
    axes.set_aspect("equal")
    axes.set_xticks(np.array([]))
    axes.set_yticks(np.array([]))
    axes.set_title(title, color=LIGHT.ink, fontsize=9)
    for spine in axes.spines.values():
        spine.set_color(LIGHT.grid)
