"""The folder of a demonstration and its table."""

from pathlib import Path

from thalweg.cli import demo
from thalweg.cli.run import default_folder


def test_a_demonstration_has_a_folder_of_its_own():
    for _ in range(3):
        folder = default_folder("demo")
        assert not folder.exists()
        folder.mkdir(parents=True)


def test_the_table_has_a_line_a_run():
    row = {
        "target": "u1",
        "elbo": 1.8,
        "elbo_se": 0.01,
        "log_evidence": 1.87,
        "log_evidence_se": 0.02,
        "log_z": 1.8775,
        "kl": 0.0775,
        "khat": 0.4,
        "ess_fraction": 0.9,
        "verdict": "reweight",
        "seconds": 12.3,
        "page": str(Path("runs") / "report.html"),
    }
    lines = demo.table([row, {**row, "target": "u2"}]).splitlines()
    assert len(lines) == 3
    assert " ".join(lines[1].split()) == (
        "u1 1.8000 ± 0.0100 1.8700 ± 0.0200 1.8775 0.0775 0.40 90.0 % reweight 12.3"
    )
