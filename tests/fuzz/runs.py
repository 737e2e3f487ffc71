"""Complete runs of the three jobs, as small as they can be, and what damages their files."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import numpy as np
from fuzz.mutations import damaged, damaged_json
from report import posteriors

import thalweg.density.learning
import thalweg.latent.fit
from thalweg import flows
from thalweg.density import job as density_job
from thalweg.density.ensemble.fit import Fitted
from thalweg.density.ensemble.held_out import Ensembled
from thalweg.density.job import estimate
from thalweg.latent import job as latent_job
from thalweg.latent.job import encode
from thalweg.training import Trained
from thalweg.training.history import History

NUMBERS = [[1.0, 2.0]] * 20
HISTORY = History(list(range(5, 105, 5)), [0.1] * 20, *[NUMBERS] * 3, [[0, 2]] * 20, NUMBERS)


def made(folder: Path) -> dict[str, Path]:
    """A run of each job in a folder, whole but for one thing: nothing was learned."""
    rng = np.random.default_rng(0)
    posterior = posteriors.make(history=HISTORY)
    posterior.diagnostics = dataclasses.replace(posterior.diagnostics, parameters=5)
    posterior.save(folder / "infer")
    rows = rng.normal(size=(60, 2))
    rows[:, 1] = np.maximum(rows[:, 1], 0)  # one value repeats
    np.savetxt(folder / "rows.csv", rows, delimiter=",", header="a,b", comments="")
    np.save(folder / "images.npy", (rng.random((30, 2, 2)) < 0.5).astype(np.uint8))
    with without_learning(compared=True) as run:
        run["estimate"][0](folder / "rows.csv", folder / "estimate")
        run["encode"][0](folder / "images.npy", folder / "encode")
    return {job: folder / job for job in ("infer", "estimate", "encode")}


@contextmanager
def without_learning(
    *, compared: bool = False
) -> Iterator[dict[str, tuple[Callable[..., Any], Callable[..., Any]]]]:
    """Two jobs whose fits take no time: how to start each (data, folder), and how to resume it.

    `compared` says whether a density is compared with simpler ones, which does take time.
    """
    flow = flows.build("mean_field", jax.random.key(0), 2)
    fitted = Fitted(Ensembled(flow, held_out=1.0), HISTORY, 100, False, False, 1000.0)

    def train(models: Any, *_: Any, **options: Any) -> Trained:
        none = np.zeros(1)
        return Trained(models, none, HISTORY, none, {}, False, options["steps"], 0.0)

    def start_estimate(data: Path, folder: Path) -> Any:
        return estimate(data, flow="mean_field", out=folder, progress=False)

    def start_encode(data: Path, folder: Path) -> Any:
        more = {"latent": 2, "flow": "mean_field", "hidden": (4,), "draws": 2, "progress": False}
        return encode(str(data), out=folder, **more)

    with (
        mock.patch.object(thalweg.density.learning, "fit", lambda *_: fitted),
        mock.patch.object(thalweg.latent.fit, "train", train),
        nullcontext() if compared else mock.patch.object(density_job, "baselines", lambda *_: []),
    ):
        yield {
            "estimate": (start_estimate, lambda folder: density_job.resume(folder, False)),
            "encode": (start_encode, lambda folder: latent_job.resume(folder, False)),
        }


@contextmanager
def damaged_run(run: Path, others: list[Path], rng: np.random.Generator) -> Iterator[str]:
    """Within this context one file of a run is damaged, and as whole again after it.

    Gives what was done. Half of the time it is done as a stranger would: digests and checksums
    agree with the damage.
    """
    names = sorted(path.name for path in run.iterdir() if path.suffix != ".html")
    name = "run.json" if rng.random() < 0.4 else names[int(rng.integers(len(names)))]
    path, record = run / name, run / "run.json"
    before = {one: one.read_bytes() for one in (path, record)}
    stranger = rng.random() < 0.5
    if stranger:
        whole = json.loads(before[record])
        whole.pop("contents", None)
        record.write_text(json.dumps(whole))
    kind = _damage(path, path.read_bytes(), others, rng, stranger)
    try:
        yield f"{name}: {kind}"
    finally:
        for one, content in before.items():
            one.write_bytes(content)


def _damage(
    path: Path, content: bytes, others: list[Path], rng: np.random.Generator, stranger: bool
) -> str:
    chance = rng.random()
    if chance < 0.1:
        files = [one for run in others for one in run.iterdir() if one.suffix != ".html"]
        path.write_bytes(files[int(rng.integers(len(files)))].read_bytes())
        return "another file"
    if path.suffix == ".json" and chance < 0.85:
        path.write_text(json.dumps(damaged_json(json.loads(content), rng)))
        return "JSON"
    if path.suffix == ".safetensors" and stranger:
        path.write_bytes(_with_another_head(content, rng))
        return "header"
    path.write_bytes(damaged(content, rng))
    return "bytes"


def _with_another_head(content: bytes, rng: np.random.Generator) -> bytes:
    """A file of tensors whose header says other things, without a checksum."""
    length = int.from_bytes(content[:8], "little")
    head: dict[str, Any] = json.loads(content[8 : 8 + length])
    words = head.get("__metadata__", {})
    for key in ("checked", "checksum"):
        words.pop(key, None)
    inner = [key for key, word in words.items() if word[:1] in "{["]
    if inner and rng.random() < 0.8:
        key = inner[int(rng.integers(len(inner)))]
        words[key] = json.dumps(damaged_json(json.loads(words[key]), rng))
    else:
        head = damaged_json(head, rng)
    text = json.dumps(head).encode()
    return len(text).to_bytes(8, "little") + text + content[8 + length :]
