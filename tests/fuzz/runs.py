"""Complete runs of the three jobs, as small as they can be, and what damages their files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from fuzz.mutations import damaged, damaged_json

from thalweg.density.job import estimate
from thalweg.inference import infer
from thalweg.latent.job import encode

TINY = {"steps": 2, "batch_size": 8, "progress": False}


def made(folder: Path) -> dict[str, Path]:
    """A run of each job in a folder: about ten seconds, most of them to compile."""
    rng = np.random.default_rng(0)
    infer("banana", 2, flow="planar", layers=1, restarts=1, out=folder / "infer", **TINY)
    rows = rng.normal(size=(60, 2))
    rows[:, 1] = np.maximum(rows[:, 1], 0)  # one value repeats
    np.savetxt(folder / "rows.csv", rows, delimiter=",", header="a,b", comments="")
    more = {"flow": "gaussian", "members": 1, "noise": 0.0, "gaussian": False}
    estimate(folder / "rows.csv", out=folder / "estimate", **more, **TINY)
    images = (rng.random((30, 2, 2)) < 0.5).astype(np.uint8)
    np.save(folder / "images.npy", images)
    more = {"latent": 2, "flow": "planar", "layers": 1, "hidden": (4,), "draws": 2}
    encode(str(folder / "images.npy"), out=folder / "encode", **more, **TINY)
    return {job: folder / job for job in ("infer", "estimate", "encode")}


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
