"""Flows of grey images at a tiny budget."""

import numpy as np
import pytest

from thalweg_studies import image_flows
from thalweg_studies.registry import IMAGE_FLOWS


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image-flows")
    return folder, IMAGE_FLOWS.run(folder, quick=True)


@pytest.mark.slow
def test_both_kinds_of_noise_learn(result):
    _, found = result
    assert [row["noise"] for row in found["rows"]] == ["uniform", "variational"]
    for row in found["rows"]:
        assert row["bits"] < 6  # uniform bytes have 8
        assert row["bits_importance"] <= row["bits_few"]  # by Jensen's inequality


@pytest.mark.slow
def test_it_writes_a_table_a_figure_and_its_fits(result):
    folder, _ = result
    names = {path.name for path in folder.iterdir()}
    assert names == {"cells", "draws.png", "table.csv", "table.md", "made.json"}
    cells = {path.name.rsplit("-", 1)[0] for path in (folder / "cells").iterdir()}
    assert cells == {"uniform-0", "variational-0"}


@pytest.mark.slow
def test_stored_fits_are_read(result, monkeypatch):
    folder, found = result
    monkeypatch.setattr(image_flows, "train", None)
    assert IMAGE_FLOWS.run(folder, quick=True)["rows"] == found["rows"]
    with pytest.raises(TypeError):
        IMAGE_FLOWS.run(folder, quick=True, seeds=2)


def test_a_mean_of_weights_is_taken_before_the_logarithm():
    log_weights = np.log([[1.0, 2.0], [3.0, 2.0]])
    np.testing.assert_allclose(image_flows.log_mean(log_weights), np.log([2.0, 2.0]))
