"""Settings of the whole suite."""

import atexit
import contextlib
import ctypes
import gc
import os
import re
import shutil
import tempfile
from pathlib import Path

# Most of the suite's time goes to compiling programs that run once, so they are compiled with the
# least effort: no optimisation by LLVM, nor XLA's own code for fusions, and each in one piece.
# `make test-slow` sets the variable (to nothing) and compiles as users do. A jaxlib that does not
# know one of these flags stops at once and names it.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
    " --xla_cpu_parallel_codegen_split_count=1",
)

# What one test compiles is there for all others of the run: those of the other worker, those after
# programs were let go of (below), and those in subprocesses. The process that began deletes it.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="thalweg-tests-")
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)

import jax
import jaxtyping
import numpy as np
import pytest

jaxtyping.install_import_hook("thalweg", "checked_shapes.checked")

# In the environment, so that it holds for subprocesses too: no test opens a window.
os.environ["MPLBACKEND"] = "Agg"

# Formulas are tested in float64; what is about float32 asks for it.
jax.config.update("jax_enable_x64", True)

# A program is over before the next begins. With programs in flight, letting go of compiled ones
# (below) has left XLA's queue waiting for ever.
jax.config.update("jax_cpu_enable_async_dispatch", False)


jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


MOST_KEPT = 2**29  # bytes of programs of earlier runs, which `make` keeps beside the environment


def pytest_sessionstart(session):
    """Keep the folder of programs from growing with every change."""
    from thalweg.compilation_cache import delete_oldest

    folder = Path(os.environ["JAX_COMPILATION_CACHE_DIR"])
    if folder.is_dir():
        delete_oldest(folder, MOST_KEPT)


@pytest.fixture(autouse=True, scope="module")
def keep_every_program():
    """Keep the small programs on disk too: the command line keeps those of 0.05 s."""
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


@pytest.fixture(autouse=True)
def leave_nothing_behind(tmp_path, monkeypatch):
    """Run each test in a folder of its own, with the user's folders inside it too."""
    monkeypatch.chdir(tmp_path)
    for name in ("CACHE", "CONFIG", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))


@pytest.fixture
def unchecked_shapes():
    """Let arrays of any shape through to the package's own checks."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def rng():
    """Numbers that are the same whichever tests ran before this one."""
    return np.random.default_rng(0)


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks, and pytest leaves out slow tests
def pytest_collection_modifyitems(items):
    """Tests of one file run on one worker, unless they say otherwise.

    What they fit for each other and what is compiled for them is then made once, not on each.
    """
    _choose_few(items)
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.split("::")[0]))
    # A group stands together: without workers too, what is compiled for it is compiled once.
    items.sort(key=lambda item: item.get_closest_marker("xdist_group").args[0])


def _choose_few(items):
    """Of a test marked `few(n)` all cases but n are slow."""
    cases = {}
    for item in items:
        if item.get_closest_marker("few") and not item.get_closest_marker("slow"):
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for found in cases.values():
        (most,) = found[0].get_closest_marker("few").args
        kept = {(2 * k + 1) * len(found) // (2 * most) for k in range(most)}
        for number, item in enumerate(found):
            if number not in kept:
                item.add_marker(pytest.mark.slow)


MAPS, STATUS = Path("/proc/self/maps"), Path("/proc/self/status")
MOST_MAPS = 30_000
MOST_MEMORY = 2 * 2**20  # KiB
TESTS_BETWEEN_LOOKS = 20
_run = 0


def pytest_runtest_teardown(item, nextitem):
    """Let go of compiled programs when they become too many, or too large.

    Each holds memory maps, of which Linux allows a process some 65,000: a worker that keeps the
    programs of a thousand tests dies of that. And what JAX keeps of them and of arrays within
    them would come to some 7 GiB a worker.
    """
    global _run
    _run += 1
    if _run % TESTS_BETWEEN_LOOKS == 0 and STATUS.exists() and (_many() or _large()):
        jax.clear_caches()
        gc.collect()
        _give_back()


def _many():
    with MAPS.open() as lines:
        return sum(1 for _ in lines) > MOST_MAPS


def _large():
    found = re.search(r"RssAnon:\s+(\d+) kB", STATUS.read_text())
    return found is not None and int(found[1]) > MOST_MEMORY


def _give_back():
    """What is free, to the system: glibc keeps it where anything lies above it."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
