"""CONTRIBUTING.md, done: its example bijection and recipe pass the contract as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NAME = "sinh_arcsinh"

IMPORTS = """
import jax
from jaxtyping import PRNGKeyArray
from thalweg.bijections import Bijection
from thalweg.bijections.bijection import Shape
from contract.bijections import BIJECTIONS
from thalweg.flows import recipe
from thalweg.flows.stacks import on_diagonal_base
"""


def plugin():
    """Return the code of the page: the file, the line of the registry, the recipe."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    bijection, entry, recipe = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert f'"{NAME}"' in entry
    return "\n".join([bijection, IMPORTS, f"BIJECTIONS.update({{{entry}}})", recipe])


@pytest.mark.parametrize(
    ("file", "which"),
    [
        ("test_bijections.py", NAME),
        pytest.param("test_flows.py", NAME, marks=pytest.mark.slow),
        pytest.param("test_float32.py", NAME, marks=pytest.mark.slow),
    ],
)
@pytest.mark.few(1)
def test_the_code_of_the_page_passes_the_contract(tmp_path, file, which):
    (tmp_path / "walk_through.py").write_text(plugin(), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "walk_through", "-p", "no:cacheprovider"]
    path = [tmp_path, ROOT / "src", ROOT / "tests"]
    done = subprocess.run(
        [*command, f"tests/contract/{file}", "-k", which],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert re.search(r"[1-9]\d* passed", done.stdout)


def test_every_file_and_name_of_the_page_exists():
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:]+)\)", page)
    assert len(links) > 20
    assert [link for link in links if not (ROOT / link).exists()] == []
    for name, link in re.findall(r"`([A-Z]{4,})` in \[[^]]*\]\(([^)]+)\)", page):
        assert re.search(rf"^{name}\b", (ROOT / link).read_text(encoding="utf-8"), re.MULTILINE)
