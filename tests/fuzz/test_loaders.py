"""Damaged tables and images: a result, or one sentence; no crash, no hang, no want of memory.

A reader in C++ may end the process itself: batches run in processes of their own.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

TESTS = Path(__file__).parents[1]
SOME = 300  # mutations in the suite
COUNT = int(os.environ.get("THALWEG_FUZZ", "3000"))  # of all kinds together, in the long test
BATCH = 1500


def run_batch(seed: int, count: int, kinds: str = "all") -> subprocess.CompletedProcess:
    """Load so many mutations in a process of its own; what it wrote, and how it ended."""
    command = [sys.executable, "-X", "faulthandler", __file__, str(seed), str(count), kinds]
    source = str(TESTS.parent / "src")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), source])}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def assert_clean(ended: subprocess.CompletedProcess) -> None:
    assert ended.returncode == 0, f"exit {ended.returncode}\n{ended.stdout}\n{ended.stderr[-6000:]}"


def test_damaged_files_are_a_result_or_one_sentence():
    pytest.importorskip("pyarrow")
    assert_clean(run_batch(0, SOME))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 1 + max(1, COUNT // BATCH)))
def test_many_damaged_files_are_a_result_or_one_sentence(seed):
    pytest.importorskip("pyarrow")
    assert_clean(run_batch(seed, BATCH))


def main(seed: int, count: int, kinds: str) -> int:
    """Mutations from one seed; every file that fails is kept and named."""
    import tempfile

    import jax  # noqa: F401  # of the images; imported before memory is measured
    from fuzz.loaders import images, load_images, load_table, mutated, whole_files
    from fuzz.mutations import assert_survives

    tables = {} if kinds == "images" else whole_files()
    chosen = {name: (whole, load_table) for name, whole in tables.items()}
    chosen |= {name: (whole, load_images) for name, whole in images().items()}
    ends = {"csv": ("csv", "gz"), "np": ("npy", "npz"), "parquet": ("parquet",), "all": ("",)}
    if kinds == "images":
        chosen = {name: one for name, one in chosen.items() if one[1] is load_images}
    else:
        chosen = {name: one for name, one in chosen.items() if name.endswith(ends[kinds])}
    rng = np.random.default_rng(seed)
    names, failed, results = sorted(chosen), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for name, (whole, load) in chosen.items():
            path = Path(folder) / name
            path.write_bytes(whole)
            load(path)  # what is whole is read; what is imported then is no damage's doing
        for number in range(count):
            name = names[number % len(names)]
            whole, load = chosen[name]
            path = Path(folder) / name
            content = mutated(name, whole, rng)
            path.write_bytes(content)
            keep = Path(os.environ.get("THALWEG_FUZZ_KEEP", folder))
            (keep / f"last-{seed}-{name}").write_bytes(content)  # of a process that crashes
            try:
                results += not isinstance(assert_survives(load, path), ValueError)
            except AssertionError as error:
                failed += 1
                kept = keep / f"{seed}-{number}-{name}"
                kept.write_bytes(content)
                print(f"{kept}: {error}")
    print(f"seed {seed}: {count} mutations, {results} read, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
