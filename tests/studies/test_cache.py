"""Fits that are stored as files."""

import csv
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thalweg_studies import image_flows, made
from thalweg_studies.cache import FitSpec, load, load_or_run
from thalweg_studies.registry import CIFAR, MNIST, MNIST_CONVOLUTION, VAE_FLOWS


@dataclass(frozen=True)
class Found:
    value: float
    row: Any = (1, 2)


@dataclass(frozen=True)
class Pictured:
    value: float
    images: np.ndarray


def make(value):
    def fit(stem):
        stem.with_suffix(".checkpoint").write_text("half of it")
        return Found(value)

    return fit


def find(folder, settings, fit):
    return load_or_run(FitSpec("a", settings), folder, Found, fit)


def test_a_stored_fit_is_read_only_with_its_settings(tmp_path):
    expected = Found(0.1, [1, 2])
    assert find(tmp_path, {"steps": (1,)}, make(0.1)) == expected
    assert find(tmp_path, {"steps": (1,)}, make(0.2)) == expected
    assert find(tmp_path, {"steps": (2,)}, make(0.2)) == Found(0.2, [1, 2])
    assert len(list(tmp_path.iterdir())) == 2  # no checkpoint is left


def test_a_run_that_was_stopped_keeps_its_checkpoint(tmp_path):
    def stopped(stem):
        stem.with_suffix(".checkpoint").write_text("half of it")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find(tmp_path, {}, stopped)
    (left,) = tmp_path.iterdir()
    found = find(tmp_path, {}, lambda stem: Found(len(stem.with_suffix(".checkpoint").read_text())))
    assert found.value == 10
    assert not left.exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"found": 3}', '{"asked": {}, "found": 3}'])
def test_a_damaged_file_gets_one_sentence(tmp_path, text):
    find(tmp_path, {}, make(0.1))
    (path,) = tmp_path.iterdir()
    path.write_text(text)
    with pytest.raises(ValueError, match=r"\.json is damaged; remove it and the model is"):
        find(tmp_path, {}, make(0.1))


@pytest.mark.parametrize(("old", "new"), [('"steps": 1', '"steps": 2'), ('"value"', '"other"')])
def test_a_file_of_another_fit_is_refused(tmp_path, old, new):
    find(tmp_path, {"steps": 1}, make(0.1))
    (path,) = tmp_path.iterdir()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match=r"\.json is no record of a; remove it"):
        find(tmp_path, {"steps": 1}, make(0.1))


def test_arrays_are_stored_beside_and_made_again_if_missing(tmp_path):
    spec, images = FitSpec("a", {}), np.eye(3, dtype=np.float32)
    for value in (1.0, 2.0):
        found = load_or_run(spec, tmp_path, Pictured, lambda _, v=value: Pictured(v, v * images))
        np.testing.assert_array_equal(found.images, value * images)
        spec.path(tmp_path).with_suffix(".safetensors").unlink()
        assert load(spec, tmp_path, Pictured) is None


RESULTS = Path(__file__).parents[2] / "docs" / "results"


@pytest.mark.parametrize(
    "study", [CIFAR, MNIST, MNIST_CONVOLUTION, VAE_FLOWS], ids=lambda study: study.name
)
def test_committed_results_of_latent_models_are_read_again(tmp_path, study):
    """Their tables come out the same, and nothing is fitted."""
    made_before = RESULTS / study.name
    shutil.copytree(made_before / "cells", tmp_path / "cells")
    before = sorted((tmp_path / "cells").iterdir())
    study.run(tmp_path)
    assert sorted((tmp_path / "cells").iterdir()) == before
    assert (tmp_path / "table.csv").read_bytes() == (made_before / "table.csv").read_bytes()


@pytest.mark.parametrize(
    ("study", "specs", "kind"),
    [
        ("made", [made.fit_spec(n, 0, "binarized_mnist") for n in made.FULL.networks], made.Fit),
        (
            "image-flows",
            [
                image_flows.fit_spec(replace(image_flows.SHORT, noise_layers=k), 0, "mnist")
                for k in image_flows.NOISE
            ],
            image_flows.Fit,
        ),
    ],
)
def test_committed_results_of_models_of_images_are_read_again(study, specs, kind):
    folder = RESULTS / study / "cells"
    table = (RESULTS / study / "table.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(table.splitlines()))
    parameters = [str(load(spec, folder, kind).parameters) for spec in specs]
    assert parameters == [row["parameters"] for row in rows]
