"""E1: every planar segment is parallel to û, every radial one lies on a ray from the centre."""

import csv
import json

import numpy as np
import pytest

from thalweg_studies import transport
from thalweg_studies.registry import TRANSPORT


def test_the_maps_have_the_given_parameters():
    u_hat = np.array([0.3, -0.7])
    planar = transport.planar_map(u_hat).parameters()
    np.testing.assert_allclose(planar.u_hat, u_hat, atol=1e-12)
    radial = transport.radial_map(-0.9, alpha=1.5).parameters()
    np.testing.assert_allclose(radial.alpha, 1.5, atol=1e-12)
    np.testing.assert_allclose(radial.alpha_plus_beta, 0.6, atol=1e-12)


def test_maps_that_cannot_be_inverted_are_refused():
    with pytest.raises(ValueError, match="above −1"):
        transport.planar_map(np.array([-1.0, -1.0]))
    with pytest.raises(ValueError, match="β > −α"):
        transport.radial_map(-1.0, alpha=1.0)


def test_run_writes_pictures_and_a_table_whose_angles_vanish(tmp_path):
    made = TRANSPORT.run(tmp_path / "e1", quick=True)
    assert made["name"] == "transport"
    assert len(made["rows"]) == 20
    assert all(row["largest_angle"] < 1e-5 for row in made["rows"])
    for name in made["files"]:
        size = (tmp_path / "e1" / name).stat().st_size
        assert 0 < size < 300_000
    with (tmp_path / "e1" / "table.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["value"]) for row in rows] == [row["value"] for row in made["rows"]]
    record = json.loads((tmp_path / "e1" / "made.json").read_text(encoding="utf-8"))
    assert record["command"].startswith("thalweg reproduce transport --quick --out ")
    assert record["hardware"]["cores"] >= 1
    assert "β" in made["text"]


def test_log_determinants_have_the_sign_of_the_map():
    panels = [panel for panel in transport.make_panels() if panel.family == "radial"]
    for panel in panels:
        assert np.all(panel.log_det < 0) == (panel.value < 0)


def test_the_angle_is_between_lines():
    right = np.array([[1.0, 0.0]])
    assert transport.angle_between(right, -3 * right) == 0
    assert np.isclose(transport.angle_between(right, np.array([[1.0, 1.0]])), np.pi / 4)
