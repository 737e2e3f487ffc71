"""Ctrl-C at any moment, from the first instruction on: exit code 130, never swallowed."""

import functools
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

LONG = ["--flow", "planar", "--layers", "2", "--steps", "40000000", "--batch", "4"]

# The signal comes when a module is looked for: in the middle of whatever imports it.
AT_IMPORT = """
import signal, sys

class Presses:
    def find_spec(self, name, path=None, target=None):
        if name == {moment!r}:
            {action}

sys.meta_path.insert(0, Presses())
sys.argv = ["thalweg", *{words!r}]
import runpy
runpy.run_module("thalweg", run_name="__main__")
"""
PRESS = "signal.raise_signal(signal.SIGINT)"
# Python swallows what a finaliser raises.
PRESS_IN_FINALISER = (
    "type('Late', (), {'__del__': lambda self: signal.raise_signal(signal.SIGINT)})()"
)


@pytest.fixture
def process(environment, tmp_path):
    """Start Python code in a process of its own; whatever still runs at the end is killed."""
    started = []

    def run(code):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen([sys.executable, "-c", code], env=environment, **pipes))
        return started[-1]

    yield run
    for each in started:
        if each.poll() is None:
            each.kill()
        each.communicate()


def ended(process, seconds=120):
    """Return the last words of a process after the signal; it must end with 130."""
    out, err = process.communicate(timeout=seconds)
    assert process.returncode == 130, (process.returncode, err)
    assert out == ""
    assert "Traceback" not in err
    assert "Exception ignored" not in err
    return err.splitlines()[-1]


@pytest.mark.parametrize("action", [PRESS, PRESS_IN_FINALISER], ids=["plain", "finaliser"])
@pytest.mark.parametrize(
    "moment",
    ["thalweg.cli.main", "click", "numpy", "numpy.linalg", "jaxlib", "thalweg.inference"],
)
def test_ctrl_c_during_an_import(process, moment, action):
    words = ["infer", "two_modes", *LONG, "--out", "run"]
    code = AT_IMPORT.format(moment=moment, action=action, words=words)
    assert ended(process(code)) == "thalweg: interrupted"
    assert not os.path.exists("run")


def test_ctrl_c_while_native_code_runs(process):
    # The handler of the main thread has to wait for the end of it; minutes, here.
    code = """
import hashlib, sys
from thalweg.cli.interruption import interruption
interruption.install()
print("ready", file=sys.stderr, flush=True)
hashlib.pbkdf2_hmac("sha256", b"a", b"b", 10**9)
"""
    begun = process(code)
    assert begun.stderr.readline() == "ready\n"
    begun.send_signal(signal.SIGINT)
    assert ended(begun, 60) == "thalweg: interrupted"


def test_ctrl_c_at_the_end_of_the_process(process):
    code = """
import atexit, signal, sys
atexit.register(signal.raise_signal, signal.SIGINT)
sys.argv = ["thalweg", "--version"]
from thalweg.cli.main import script
script()
"""
    found = process(code)
    out, err = found.communicate(timeout=60)
    assert (found.returncode, out.startswith("thalweg, version")) == (130, True), err
    assert err == "thalweg: interrupted\n"


def test_work_that_stops_in_order_passes_the_signal_on(process):
    # The first one is the work's own until that is over; then the process ends.
    code = """
import signal, sys
from thalweg.cli.interruption import interruption
from thalweg.training.interrupt import Interrupt
interruption.install()
with Interrupt() as interrupt:
    signal.raise_signal(signal.SIGINT)
    assert interrupt.requested
    print("in order", file=sys.stderr, flush=True)
print("never", file=sys.stderr, flush=True)
"""
    found = process(code)
    assert ended(found) == "thalweg: interrupted"


def test_a_second_ctrl_c_ends_work_that_does_not_stop(process):
    code = """
import hashlib, sys
from thalweg.cli.interruption import interruption
from thalweg.training.interrupt import Interrupt
interruption.install()
with Interrupt():
    print("ready", file=sys.stderr, flush=True)
    hashlib.pbkdf2_hmac("sha256", b"a", b"b", 10**9)
"""
    begun = process(code)
    assert begun.stderr.readline() == "ready\n"
    begun.send_signal(signal.SIGINT)
    assert "Ctrl-C again ends it at once" in begun.stderr.readline()
    begun.send_signal(signal.SIGINT)
    assert ended(begun, 60) == "thalweg: interrupted"


@pytest.mark.parametrize("status", ["running", "complete", "interrupted"])
def test_the_folder_of_another_run_is_left_alone(process, tmp_path, status):
    # The command would have been refused; Ctrl-C comes before that.
    (tmp_path / "run").mkdir()
    record = json.dumps({"format": "thalweg-run-1", "job": "infer", "status": status})
    (tmp_path / "run" / "run.json").write_text(record)
    words = ["infer", "two_modes", "--out", "run"]
    code = AT_IMPORT.format(moment="thalweg.inference.api", action=PRESS, words=words)
    assert ended(process(code)) == "thalweg: interrupted"
    assert (tmp_path / "run" / "run.json").read_text() == record
    assert os.listdir(tmp_path / "run") == ["run.json"]


def test_a_stopped_run_is_marked_and_the_resume_command_printed(tmp_path):
    from thalweg.cli.interruption import Interruption
    from thalweg.runs import open_folder, write_record

    notes = {"ß": "\udcff"}  # a name that is no text
    for resumed in (False, True):
        stopped, folder = Interruption(), tmp_path / f"run{resumed:d}"
        if not resumed:
            stopped.register_run(folder, lambda: "go on so")
        write_record(open_folder(folder), {"status": "running", "notes": notes})
        if resumed:
            stopped.register_run(folder, lambda: "go on so", resumed=True)
        assert stopped._final_sentence() == "go on so"
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        assert (record["status"], record["notes"]) == ("interrupted", notes)
        assert os.listdir(folder) == ["run.json"]


def test_a_forked_child_has_pythons_own_handling(process):
    # It shares the pipe: what it got must not end the parent.
    code = """
import os, signal, sys
from thalweg.cli.interruption import interruption
interruption.install()
child = os.fork()
if not child:
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        os._exit(7)
    os._exit(8)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    found = process(code)
    out, err = found.communicate(timeout=60)
    assert (found.returncode, out) == (0, "7\n"), err


# --- many moments --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("job", ["infer", "estimate"])
def test_ctrl_c_at_a_hundred_random_moments(environment, tmp_path, job):
    source = {"infer": "u1", "estimate": "data.csv"}[job]
    draw = random.Random(job)
    rows = [f"{draw.gauss(0, 1)},{draw.gauss(0, 1)}" for _ in range(2000)]
    (tmp_path / "data.csv").write_text("\n".join(["a,b", *rows]))
    for i in range(100):
        command = [sys.executable, "-m", "thalweg", job, source, "--steps", "1000000"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        # Where these tests run in the background of a shell, the signal is ignored by inheritance.
        pipes["preexec_fn"] = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        begun = subprocess.Popen([*command, "--out", f"run{i}"], env=environment, **pipes)
        moment = draw.uniform(0, 5)
        time.sleep(moment)
        begun.send_signal(signal.SIGINT)
        out, err = begun.communicate(timeout=120)
        # Python's own end, before it has come to our first line: its handler's or the system's.
        own_end = begun.returncode in (1, -signal.SIGINT) and "thalweg" not in err
        assert begun.returncode == 130 or own_end, (moment, begun.returncode, err)
        assert out == ""
        folder = tmp_path / f"run{i}"
        if folder.exists():
            check_resumable(folder, err)
    assert not list(tmp_path.glob("core*"))


def check_resumable(folder, err):
    """The folder is as `resume` takes it, or was just made and holds nothing."""
    from thalweg.runs import read_record

    names = os.listdir(folder)
    if "run.json" in names:
        assert read_record(folder)["status"] == "interrupted"
        assert "thalweg resume" in err.splitlines()[-1]
    assert not [name for name in names if name.startswith(".")]
