"""Verbs on a terminal: something moves all the time, and the terminal is left as it was."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import numpy as np
import pytest

LONGEST = 2.0  # seconds without a change on the screen
ERASE = "\r\x1b[2K"  # begins each drawing of the line
STYLE = re.compile(r"\x1b\[[\d;]*m")


class Recorded:
    """Text that a command wrote to its terminal, piece by piece, with times."""

    def __init__(self, pieces, seconds, code):
        self.pieces, self.seconds, self.code = pieces, seconds, code
        self.raw = "".join(text for _, text in pieces)
        self.text = STYLE.sub("", self.raw)

    def longest_pause(self):
        """Return the longest time without a change on the screen; drawing the same is none."""
        changes, before = [0.0], None
        for when, text in self.pieces:
            line = text.rpartition(ERASE)[2]
            if line != before:
                changes.append(when)
            before = line
        return max(np.diff([*changes, self.seconds]))


@pytest.fixture
def on_terminal(environment, tmp_path):
    """Run a command on a terminal, with an empty cache of programs."""

    def run(*arguments, interrupt_at=None, **variables):
        code = "from thalweg.cli.main import script; script()"
        command = [sys.executable, "-c", code, *map(str, arguments)]
        cache = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache"), "TERM": "xterm"}
        begun = time.monotonic()
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        process = subprocess.Popen(
            command, env={**environment, **cache, **variables}, start_new_session=True, **streams
        )
        os.close(theirs)
        pieces, seen = [], ""
        while True:
            if not select.select([ours], [], [], 120)[0]:
                process.kill()
            try:
                read = os.read(ours, 2**16).decode(errors="replace")
            except OSError:  # the command has ended
                break
            seen += read
            pieces.append((time.monotonic() - begun, read))
            if interrupt_at is not None and interrupt_at in seen:
                process.send_signal(signal.SIGINT)
                interrupt_at = None
        seconds = time.monotonic() - begun
        os.close(ours)
        return Recorded(pieces, seconds, process.wait())

    return run


def check_moves(recorded, *titles):
    assert recorded.code == 0, recorded.text
    assert recorded.longest_pause() <= LONGEST
    for title in titles:
        assert title in recorded.text, recorded.text
    assert "\x1b[?25" not in recorded.raw  # the cursor is never hidden
    assert "run   run" in recorded.text.rpartition("\x1b[2K")[2]  # below the last line


@pytest.mark.slow
def test_infer_never_stands_still(on_terminal):
    options = "--flow planar --layers 2 --steps 60 --batch 16 --restarts 1 --out run"
    stages = "checking the density", "searching modes", "fitting the Gaussian", "fitting the flow"
    titles = [f"{i}/5 {stage}" for i, stage in enumerate((*stages, "diagnosing"), 1)]
    found = on_terminal("infer", "two_modes", *options.split())
    check_moves(found, "starting", *titles, ": compiling", "−ELBO", "writing the page")


@pytest.mark.slow
def test_estimate_never_stands_still(on_terminal, tmp_path):
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).normal(size=(200, 2)))
    options = "--flow mean_field --members 1 --noise 0 --steps 60 --out run"
    found = on_terminal("estimate", "rows.npy", *options.split())
    check_moves(found, "reading the rows", "fitting the density", "NLL", "writing the page")


@pytest.mark.slow
def test_fit_vae_never_stands_still(on_terminal, tmp_path):
    images = np.random.default_rng(0).random((60, 4, 4)) > 0.5
    np.save(tmp_path / "images.npy", images.astype(np.uint8))
    options = "--layers 2 --latent 2 --hidden 8 --steps 60 --draws 50 --out run"
    found = on_terminal("fit-vae", "images.npy", *options.split())
    check_moves(found, "reading the images", "fitting the model", "evaluating", "writing the page")


def test_ctrl_c_leaves_the_sentence_below_the_line(on_terminal, tmp_path):
    found = on_terminal("infer", "two_modes", "--out", "run", interrupt_at="fitting the Gaussian")
    assert found.code == 130
    assert "\x1b[?25" not in found.raw
    last = found.text.splitlines()[-1]
    assert last == "thalweg: interrupted; go on with: thalweg resume run"


def test_an_error_takes_the_line_away(on_terminal):
    found = on_terminal("infer", "nothing_of_this_name")
    assert found.code == 1
    assert "\x1b[2Kthalweg: unknown target" in found.text


def test_a_terminal_that_cannot_move_gets_plain_lines(on_terminal):
    found = on_terminal("infer", "nothing_of_this_name", TERM="dumb")
    assert "\x1b" not in found.raw
