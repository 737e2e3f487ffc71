"""Verbs with options drawn at random: a result, or one sentence; never anything else."""

import json
import random

import pytest
from cli.test_bad_commands import _is_progress, run, things

__all__ = ["things"]  # a fixture

NUMBERS = ["0", "1", "2", "3", "-1", "1.5", "nan", "inf", "1e-3", "1e3", "x", "", "7" * 30]
NAMES = ["a", "b", "a,b", "c", "auto", "none", "planar", "real_nvp", "x" * 300, "é", "", "\u202e"]
FLAGS = ["--json", "--x64", "--no-report", "--traceback", "--drop-missing", "--force", "--help"]
OPTIONS = {
    "infer": (
        ["--dim", "--layers", "--hidden", "--batch", "--lr", "--restarts", "--seed"],
        ["--flow", "--refine", "--data"],
    ),
    "estimate": (
        ["--layers", "--members", "--batch", "--lr", "--test-fraction", "--seed", "--noise"],
        ["--columns", "--context", "--flow", "--marginal", "--discrete"],
    ),
    "sample": (["-n", "--seed"], ["-o"]),
    "score": ([], ["-o"]),
    "report": ([], []),
    "resume": ([], ["--target"]),
    "flows": ([], []),
    "targets": ([], []),
    "reproduce": (["--seeds"], []),
}
CHEAP = ["sample", "score", "report", "resume", "flows", "targets", "reproduce"]


def command(draw, verbs, things):
    """A verb with a few options, each given a good or a bad value."""
    verb = draw.choice(verbs)
    numbers, names = OPTIONS[verb]
    runs = [things[name] for name in ("run", "density", "latent", "missing", "csv", "folder")]
    words = {
        "infer": [draw.choice(["u1", "two_modes", "nonsense", things["csv"]]), "--steps", "2"],
        "estimate": [draw.choice([things["csv"], things["empty"], things["fifo"]]), "--steps", "2"],
        "sample": [draw.choice(runs), "-n", "3", "-o", draw.choice(["d.csv", "d.npy", "d.txt"])],
        "score": [draw.choice(runs), draw.choice([things["csv"], things["junk"]]), "-o", "s.csv"],
        "report": [draw.choice(runs)],
        "resume": [draw.choice(runs)],
        "reproduce": ["--list"],
    }.get(verb, [])
    for _ in range(draw.randrange(4)):
        pools = [(numbers, NUMBERS)] * bool(numbers) + [(names, NAMES)] * bool(names)
        if pools and draw.random() < 0.7:
            options, values = draw.choice(pools)
            words += [draw.choice(options), draw.choice(values)]
        else:
            words += [draw.choice(FLAGS)]
    return [verb, *words]


def check(words):
    code, out, err = run(words)
    assert code in (0, 1, 2), (words, code)
    assert "unforeseen" not in err, (words, err)
    if code:
        said = [line for line in err.splitlines() if line.startswith("thalweg: ")]
        assert len(said) == 1, (words, err)
        assert out == "", (words, out)
        last = [line for line in err.splitlines() if not _is_progress(line)][-1]
        assert last.startswith("thalweg: "), (words, err)
    elif "--json" in words and "--help" not in words:
        json.loads(out)


@pytest.mark.parametrize("seed", range(3))
def test_random_words_for_verbs_that_read(things, seed):
    draw = random.Random(seed)
    for _ in range(25):
        check(command(draw, CHEAP, things))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_random_words_for_every_verb(things, seed):
    draw = random.Random(1000 + seed)
    for _ in range(20):
        check(command(draw, list(OPTIONS), things))
