"""MADE on images at a tiny budget."""

import pytest

from thalweg_studies import made
from thalweg_studies.registry import MADE

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    return folder, MADE.run(folder, quick=True)


def test_networks_learn_and_masks_help(result):
    _, found = result
    one, *several = found["rows"]
    assert [(row["masks"], row["orders"]) for row in found["rows"]] == [(1, 1), (4, 1), (4, 4)]
    assert one["nll"] == one["nll_of_one"]
    for row in several:
        assert row["nll"] < row["nll_of_one"]  # Jensen
    for row in found["rows"]:
        # A fair coin for each pixel costs 64 ln 2 = 44.4 nats, independent pixels about 29.
        assert 10 < row["nll"] < 27


def test_it_writes_a_table_a_figure_and_its_fits(result):
    folder, _ = result
    names = {path.name for path in folder.iterdir()}
    assert names == {"cells", "draws.png", "table.csv", "table.md", "made.json"}
    cells = {path.name.rsplit("-", 1)[0] for path in (folder / "cells").iterdir()}
    assert cells == {"1-1-32-0", "4-1-64-0", "4-4-32-32-0"}


def test_stored_fits_are_read(result, monkeypatch):
    folder, found = result
    monkeypatch.setattr(made, "train", None)
    assert MADE.run(folder, quick=True)["rows"] == found["rows"]
    with pytest.raises(TypeError):
        MADE.run(folder, quick=True, seeds=2)
