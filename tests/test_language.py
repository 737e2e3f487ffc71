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
            "jobs",
            "latent",
            "nets",
            "objectives",
            "progress",
            "supports",
            "tables",
            "targets",
            "training",
        )
    ),
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "benchmarks",
    "docs",
    "src/thalweg/argument_checks.py",
    "src/thalweg/backend.py",
    "src/thalweg/cli",
    "src/thalweg/compiling.py",
    "src/thalweg/gaussians.py",
    "src/thalweg/numpy_constants.py",
    "src/thalweg/numpyro",
    "src/thalweg/parameters",
    "src/thalweg/plots",
    "src/thalweg/precision.py",
    "src/thalweg/report",
    "src/thalweg/runs",
    "src/thalweg/serialization",
    "src/thalweg/tree.py",
    "studies",
    "tests/cli",
    "tests/contract",
    "tests/fuzz",
    "tests/in_numpyro",
    "tests/report",
    "tests/runs",
    "tests/serialization",
    "tests/studies",
    "tests/test_contributing.py",
    "tests/test_plots.py",
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
    r"thalweg encode\b|--(few|rows|gaps)\b": "fit-vae, --draws-all, --test-images, --inference-gap",
    r'"correct"': "reweight (the verdict)",
    r"\b(stages|material|supply)\.py\b": "pipeline.py, source.py, row_stream.py",
    r"in no time\b": "a number",
    r"def _?(some|joined|apart|parted|turns|turned|unseen|kept|told|said|at|own)\(": "a verb",
}

# Old names that are read from files or that the changelog explains, and names of files.
EXCEPTIONS = {
    ("src/thalweg/cli/fit_vae.py", "thalweg encode"),
    *(("CHANGELOG.md", word) for word in ("Whitening", "takes_columns", "teller", '"correct"')),
    *(("CHANGELOG.md", word) for word in ("thalweg encode", "--few", "--rows", "--gaps")),
    *(("src/thalweg/cli/verbs.py", word) for word in ("--few", "--rows", "--gaps")),
    *(("tests/cli/test_fit_vae_options.py", word) for word in ("--few", "--rows", "--gaps")),
    ("src/thalweg/inference/run_folder.py", '"correct"'),
    ("tests/inference/test_run_folder.py", '"correct"'),
    ("tests/chains/test_run.py", "told"),
    ("src/thalweg/training/checkpoints.py", "hastened"),
    ("tests/training/test_optimisers.py", "hastened"),
}


def held_files():
    for name in HELD:
        path = ROOT / name
        found = [path] if path.is_file() else sorted(path.rglob("*"))
        yield from (file for file in found if file.suffix in (".py", ".md", ".j2"))


@pytest.mark.parametrize("word", WORDS)
def test_no_file_uses_a_word_of_the_list(word):
    pattern, found = re.compile(word), []
    for path in held_files():
        name = path.relative_to(ROOT).as_posix()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for match in pattern.finditer(line):
                if (name, match[0].strip()) not in EXCEPTIONS:
                    found.append(f"{name}:{number}: {match[0]!r}: {line.strip()[:80]}")
    assert not found, f"write instead: {WORDS[word]}\n" + "\n".join(found)


def test_every_held_path_exists():
    assert [name for name in HELD if not (ROOT / name).exists()] == []
