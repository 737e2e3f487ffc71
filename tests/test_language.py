"""The words of this code base are those of the field: a list of others, and where they may not be.

To hold another folder to it, add a line to `HELD`; to keep out another word, one to `WORDS`.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Files and folders that are held to the list.
HELD = [
    *(
        f"{top}/{folder}"
        for top in ("src/thalweg", "tests")
        for folder in (
            "bijections",
            "chains",
            "data",
            "density",
            "diagnostics",
            "distributions",
            "files",
            "flows",
            "inference",
            "latent",
            "nets",
            "objectives",
            "supports",
            "tables",
            "targets",
            "training",
        )
    ),
    "src/thalweg/argument_checks.py",
    "src/thalweg/backend.py",
    "src/thalweg/compiling.py",
    "src/thalweg/gaussians.py",
    "src/thalweg/numpy_constants.py",
    "src/thalweg/numpyro",
    "src/thalweg/parameters",
    "src/thalweg/precision.py",
    "src/thalweg/runs",
    "src/thalweg/serialization",
    "src/thalweg/tree.py",
    "tests/contract",
    "tests/fuzz",
    "tests/in_numpyro",
    "tests/runs",
    "tests/serialization",
    "CONTRIBUTING.md",
]

# Regular expressions, and what to write instead.
WORDS = {
    r"by heart": "overfitted, memorised",
    r"\bjudg\w*": "evaluate, validation rows, verdict",
    r"\barrived?\b": "converged",
    r"\bone's\b": "the user's, custom",
    r"\btold\b": "reported, info",
    r"\bnobody\b|\bbelieved\b": "a sentence with a subject that is there",
    r"worked out": "computed",
    r"\bin_turn\b|\bdata\.intake\b": "sequential_inverse, coerce_images",
    r"\bTurn\(|\bWhitening\b": "PhaseShift, FixedAffine",
    r"\btakes_columns\b|\bforward_and_volume\b": "supports_trailing_batch, forward_and_det_term",
    r"\.settled\b|def settled\b": "is_comparable",
    r"\b(enough|short|refill)=|\bhastened": "should_stop, low_optimisation, objective_for_chunk",
    r"\bteller\b": "as_progress",
    r'"""(What|How|Of|That|Those|Before|Who) ': "a noun phrase or an imperative",
    r"def _?(some|joined|apart|parted|turns|turned|unseen|kept|told|said|at|own)\(": "a verb",
}

# Old names that are read from files, and names of folders that are not held yet.
EXCEPTIONS = {
    ("src/thalweg/density/run_folder.py", '"""Those'),
    ("src/thalweg/latent/job.py", '"""What'),
    ("tests/chains/test_run.py", "told"),
    ("src/thalweg/training/checkpoints.py", "hastened"),
    ("tests/training/test_optimisers.py", "hastened"),
}


def held_files():
    for name in HELD:
        path = ROOT / name
        yield from [path] if path.is_file() else sorted(path.rglob("*.py"))


@pytest.mark.parametrize("word", WORDS)
def test_no_file_uses_a_word_of_the_list(word):
    pattern, found = re.compile(word), []
    for path in held_files():
        name = path.relative_to(ROOT).as_posix()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = pattern.search(line)
            if match and (name, match[0].strip()) not in EXCEPTIONS:
                found.append(f"{name}:{number}: {match[0]!r}: {line.strip()[:80]}")
    assert not found, f"write instead: {WORDS[word]}\n" + "\n".join(found)


def test_every_place_that_is_held_exists():
    assert [name for name in HELD if not (ROOT / name).exists()] == []
