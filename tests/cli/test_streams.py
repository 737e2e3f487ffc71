"""Standard streams that are closed, full or of an 8-bit encoding: no fit is lost to them."""

import io
import json
import os
import subprocess
import sys

import pytest

from thalweg.cli import streams
from thalweg.cli.main import main

TINY = "--dim 2 --flow planar --layers 2 --steps 120 --batch 16 --restarts 2 --seed 3"


class Failing(io.TextIOWrapper):
    """A stream whose reader has gone."""

    def __init__(self):
        super().__init__(io.BytesIO(), encoding="utf-8")

    def write(self, text):
        raise BrokenPipeError(32, "Broken pipe")


@pytest.mark.parametrize("stderr", [None, Failing()], ids=["closed", "broken"])
@pytest.mark.slow
def test_a_fit_survives_a_broken_stderr(shared, tmp_path, monkeypatch, capsys, stderr):
    target = f"{shared.folder.parent / 'densities.py'}:bent"
    monkeypatch.setattr(sys, "stderr", stderr)
    code = main(["infer", target, *TINY.split(), "--json", "--no-report", "--out", "run"])
    assert code == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["elbo"] == json.loads(shared.out)["elbo"]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "complete"


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("stdout", [None, Failing()], ids=["closed", "broken"])
def test_a_result_that_cannot_be_printed_names_its_folder(
    run, monkeypatch, capsys, stdout, as_json
):
    monkeypatch.setattr(sys, "stdout", stdout)
    assert main(["resume", str(run), *(["--json"] if as_json else [])]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("thalweg: the result c")
    assert f"it is in {run}" in said


@pytest.mark.parametrize("verb", ["flows", "targets", "datasets"])
def test_a_closed_stdout_is_an_error(verb, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", None)
    assert main([verb]) == 1
    assert capsys.readouterr().err == (
        "thalweg: the result cannot be printed: standard output is closed\n"
    )


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252"])
def test_results_are_printed_in_any_encoding(run, monkeypatch, encoding):
    for words in (["resume", str(run)], ["resume", str(run), "--json"], ["flows", "--json"]):
        stdout = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr(sys, "stdout", stdout)
        assert main(words) == 0
        text = stdout.buffer.getvalue().decode(encoding)
        if "--json" in words:
            json.loads(text)
            assert "?" not in text.partition('"reasons"')[0]
        else:
            assert text.startswith("verdict ")
            assert "ELBO" in text


def test_json_keeps_the_letters_that_an_encoding_lacks(monkeypatch):
    for encoding, shown in (("utf-8", '"Σ ½ é"\n'), ("latin-1", '"\\u03a3 \\u00bd \\u00e9"\n')):
        stdout = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr(sys, "stdout", stdout)
        streams.emit_json("Σ ½ é")
        assert stdout.buffer.getvalue().decode(encoding) == shown
    # Names of files that are no text in any encoding.
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", stdout)
    streams.emit_json({"file": "\udcff.csv"})
    assert json.loads(stdout.buffer.getvalue()) == {"file": "\udcff.csv"}
    streams.emit("\udcff.csv")
    assert stdout.buffer.getvalue().endswith(b"?.csv\n")


def test_a_broken_stderr_keeps_the_exit_code(monkeypatch):
    for stderr in (None, Failing()):
        monkeypatch.setattr(sys, "stderr", stderr)
        assert main(["infer", "nonsense"]) == 1
        assert main(["infer"]) == 2


@pytest.fixture
def shell(environment):
    """Run a line of the shell, where $T is the command line."""
    thalweg = f"{sys.executable} -m thalweg"

    def run(line, **more):
        command = ["bash", "-c", line.replace("$T", thalweg)]
        return subprocess.run(
            command, env={**environment, **more}, capture_output=True, timeout=300
        )

    return run


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is full")
def test_streams_of_real_processes(shell):
    full = shell("$T targets > /dev/full; echo $?")
    assert full.stdout == b"1\n"
    assert full.stderr == b"thalweg: the result could not be printed: No space left on device\n"
    closed = shell("$T --version 2>&-; echo $?; $T nonsense 2>/dev/full; echo $?; exec 1>&-; $T")
    assert closed.stdout.splitlines()[1:] == [b"0", b"2"]
    # A reader that is gone before anything is written: `head` may be slower than a short list.
    gone = shell("set -o pipefail; $T flows 2>&1 | (exec <&-; sleep 5); echo $?")
    assert gone.stdout.splitlines()[-1] == b"1"


@pytest.mark.slow
@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "2>&1 | head -1", "<&- 2>&-"])
def test_a_fit_outlives_its_terminal(shell, redirection):
    shell(f"$T infer u1 --flow planar --layers 2 --steps 200 --json --out run {redirection}")
    with open("run/run.json", encoding="utf-8") as stream:
        assert json.load(stream)["status"] == "complete"
    assert os.path.exists("run/report.html")
