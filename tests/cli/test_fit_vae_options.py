"""Options of `thalweg fit-vae`: their values reach the model, wrong ones are refused."""

import re
from pathlib import Path

import pytest

from thalweg.cli.main import main
from thalweg.latent import job


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["mnits"], "unknown data set 'mnits'; known: "),
        (["digits", "--flow", "plannar"], "unknown flow 'plannar'"),
        (["digits", "--binarisation", "static"], "unknown binarisation 'static'"),
        (["digits", "--binarisation", "none"], "zeros and ones"),
        (["digits", "--latent", "many"], "'many' is not a number"),
        (["digits", "--latent", "0"], "latent must be"),
        (["digits", "--steps", "0"], "steps must be a whole number of at least 1"),
        (["digits", "--lr", "-1"], "learning_rate must be a finite number above 0"),
        (["digits", "--batch", "0"], "batch_size must be a whole number of at least 1"),
        (["digits", "--draws", "1"], "at least 2 draws"),
        (["digits", "--test-images", "0"], "rows must be a whole number of at least 1"),
        (["digits", "--draws-all", "5000"], "few must be at least 2 and less than the 5000 draws"),
        (["digits", "--draws-all", "5"], "go with rows"),
        (["digits", "--inference-gap", "0"], "gaps must be a whole number of at least 1"),
        (["digits", "--augment", "2"], "augment must be a finite number in [0, 1]"),
        (["digits", "--seed", "-1"], "seed must be"),
        (["digits", "--layers", "0"], "layers must be a whole number of at least 1"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(refused, words, says):
    assert says in refused("fit-vae", *words, "--out", "run")
    assert not Path("run").exists()


def test_every_option_reaches_the_model(tmp_path, monkeypatch, capsys):
    seen = {}

    def fake(dataset, **asked):
        seen.update(asked)
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "encode", fake)
    words = "--flow iaf --layers 3 --latent 5 --prior maf --drop 0.3 --network dense --hidden 8,9 "
    words += (
        "--nonlinearity tanh --steps 7 --batch 11 --lr 0.02 --draws 13 --test-images 17 "
        "--draws-all 3 --inference-gap 2 "
    )
    words += "--augment 0.4 --seed 19"
    assert main(["fit-vae", "digits", *words.split(), "--out", str(tmp_path / "run")]) == 130
    assert seen == {
        **{"flow": "iaf", "layers": 3, "latent": 5, "prior": "maf", "drop": 0.3, "steps": 7},
        **{"network": "dense", "hidden": [8, 9], "nonlinearity": "tanh", "batch_size": 11},
        **{
            "learning_rate": 0.02,
            "draws": 13,
            "rows": 17,
            "few": 3,
            "gaps": 2,
            "augment": 0.4,
            "seed": 19,
        },
        "out": tmp_path / "run",
        "notes": {"report": True},
    }


def test_old_names_of_the_verb_and_its_options_still_work(tmp_path, monkeypatch, capsys):
    seen = {}

    def fake(dataset, **asked):
        seen.update(asked)
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "encode", fake)
    words = ["digits", "--rows", "17", "--few=3", "--gaps", "2", "--out", str(tmp_path / "run")]
    assert main(["encode", *words]) == 130
    assert (seen["rows"], seen["few"], seen["gaps"]) == (17, 3, 2)
    sentences = capsys.readouterr().err
    for old, new in (("encode", "fit-vae"), ("--few", "--draws-all"), ("--rows", "--test-images")):
        assert sentences.count(f"{old} is deprecated; it is now called {new}\n") == 1
    assert main(["--help"]) == 0
    assert main(["fit-vae", "--help"]) == 0
    assert not re.search(r"\bencode\b|--few|--rows|--gaps", capsys.readouterr().out)
