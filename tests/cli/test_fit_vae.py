"""`thalweg fit-vae` and what can be done with its run."""

import contextlib
import io
import json
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from training.fits import aged

import thalweg
from thalweg.cli.main import main
from thalweg.data import catalogue

KEYS = {
    "job", "dataset", "binarisation", "flow", "layers", "latent", "elbo", "elbo_se", "nll",
    "nll_se", "kl", "draws", "seconds", "out",
}  # fmt: skip
TINY = ["--layers", "2", "--latent", "3", "--draws", "20", "--test-images", "30"]


@pytest.fixture(scope="module")
def encoded(tmp_path_factory):
    """A finished run: what was printed, and its folder."""
    folder = tmp_path_factory.mktemp("encode") / "run"
    out, err = io.StringIO(), io.StringIO()
    words = ["fit-vae", "digits", *TINY, "--steps", "60", "--json", "--out", str(folder)]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    assert code == 0, err.getvalue()
    return SimpleNamespace(folder=folder, out=out.getvalue(), err=err.getvalue())


@pytest.fixture
def encoding(encoded, tmp_path):
    """A copy of that run, to be used and damaged."""
    return Path(shutil.copytree(encoded.folder, tmp_path / "run"))


def without_some_numbers(folder, *names):
    """A complete run whose numbers of these names were not finite."""
    record = json.loads((folder / "run.json").read_text())
    record["results"] |= dict.fromkeys(names)
    (folder / "run.json").write_text(json.dumps(record))


def test_numbers_that_are_not_finite_are_printed_again(encoding, capsys):
    without_some_numbers(encoding, "nll", "nll_se", "kl")
    assert main(["resume", str(encoding)]) == 0
    assert "nan ± nan nats" in capsys.readouterr().out


def test_it_prints_one_json_object_with_every_key(encoded):
    answer = json.loads(encoded.out)
    assert answer.keys() >= KEYS
    expected = {"job": "encode", "dataset": "digits", "binarisation": "dynamic", "flow": "planar"}
    expected |= {"layers": 2, "latent": 3, "draws": 20, "rows": 30, "steps": 60}
    assert {key: answer[key] for key in expected} == expected
    assert -answer["elbo"] > answer["nll"] > 0
    terms = answer["terms"]
    bound = terms["reconstruction"] + terms["log_prior"] - terms["log_base"] + terms["log_det"]
    assert answer["elbo"] == pytest.approx(bound, abs=1e-3)
    assert "planar: step 60/60" in encoded.err
    assert "Warning" not in encoded.err


def test_the_folder_holds_the_page_with_its_pictures(encoded):
    names = {path.name for path in encoded.folder.iterdir()}
    assert names == {
        *("run.json", "model.safetensors", "history.json", "rows.safetensors", "report.html")
    }
    page = (encoded.folder / "report.html").read_text()
    for title in ("Draws from the model", "Reconstructions", "One posterior", "Learning"):
        assert title in page
    assert "binarisation: dynamic" in page
    assert "thalweg fit-vae digits --flow planar --layers 2 --latent 3" in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_without_json_the_terms_are_printed(call, encoding):
    answer = call("resume", encoding)
    assert answer.code == 0
    assert "−ln p(x)" in answer.out
    assert "Σ ln|det|" in answer.out
    assert f"run   {encoding}" in answer.out


@pytest.mark.slow
def test_all_images_are_evaluated_by_few_draws(call, tmp_path):
    words = ["fit-vae", "digits", *TINY, "--steps", 50, "--draws-all", 5, "--prior", "mean_field"]
    answer = call(*words, "--augment", 0.5, "--json", "--out", tmp_path / "run")
    found = json.loads(answer.out)
    assert (found["rows"], found["all_rows"], found["few"]) == (30, 300, 5)
    assert abs(found["gain"]) < 0.3  # the same images, although they are drawn afresh
    assert -found["elbo"] > found["nll"]
    page = (tmp_path / "run" / "report.html").read_text()
    assert "few draws an image, corrected by 20 of 30 images; mean over 300 test images" in page
    assert "--prior mean_field --augment 0.5" in page and "--draws-all 5" in page
    assert "300 test images, 5 draws each, ln p(x) corrected by 20 of 30" in (
        call("resume", tmp_path / "run").out
    )


@pytest.mark.slow
def test_the_inference_gap_is_split(call, tmp_path):
    folder = tmp_path / "run"
    answer = call(
        "fit-vae", "digits", *TINY, "--steps", 50, "--inference-gap", 7, "--json", "--out", folder
    )
    gaps = json.loads(answer.out)["gaps"]
    assert gaps["rows"] == 7
    assert gaps["encoder"] == pytest.approx(gaps["diagonal"] - gaps["bound"])
    page = (folder / "report.html").read_text()
    assert "Where the bound is lost" in page and "--inference-gap 7" in page
    assert "of 7 images: the encoder loses" in call("resume", folder).out


def test_a_run_loads_as_a_model(encoded):
    model = thalweg.load(encoded.folder)
    assert isinstance(model, thalweg.LatentGaussianModel)
    bound, _ = model.elbo(catalogue.load("digits").test, draws=20)
    assert bound[:30].mean() == pytest.approx(json.loads(encoded.out)["elbo"], abs=1.0)
    assert model.sample(2).shape == (2, 8, 8)


def test_a_model_is_saved_and_loaded(encoded, tmp_path):
    model = thalweg.load(encoded.folder)
    thalweg.save(tmp_path / "mine", model)
    again = thalweg.load(tmp_path / "mine")
    np.testing.assert_array_equal(again.sample(3, mean=True), model.sample(3, mean=True))
    with pytest.raises(ValueError, match="already holds a run"):
        thalweg.save(tmp_path / "mine", model)


def test_sample_and_score(call, encoding, tmp_path):
    file = tmp_path / "draws.npy"
    assert call("sample", encoding, "-n", 4, "-o", file).code == 0
    draws = np.load(file)
    assert draws.shape == (4, 64)
    assert set(np.unique(draws)) == {0.0, 1.0}
    answer = call("score", encoding, file, "-o", tmp_path / "scores.csv", "--json")
    assert answer.code == 0
    assert json.loads(answer.out)["rows"] == 4
    assert json.loads(answer.out)["mean"] < 0


def test_report_writes_the_page_again(call, encoding):
    (encoding / "report.html").unlink()
    assert call("report", encoding).code == 0
    assert (encoding / "report.html").is_file()


@pytest.mark.slow
def test_images_are_read_from_files(call, refused, tmp_path):
    images = np.random.default_rng(0).normal(size=(40, 3, 2))
    np.savez(tmp_path / "images.npz", images)
    words = ["fit-vae", "images.npz", *TINY, "--steps", 20, "--out", "own", "--json"]
    assert "got values from" in refused(*words)
    answer = json.loads(call(*words[:-2], "own", "--json", "--likelihood", "gaussian").out)
    assert (answer["binarisation"], answer["rows"]) == ("as given", 4)
    np.savez(tmp_path / "two.npz", images, images)
    assert "must hold one array" in refused("fit-vae", "two.npz")
    (tmp_path / "half.npz").write_bytes((tmp_path / "images.npz").read_bytes()[:99])
    assert "damaged" in refused("fit-vae", "half.npz")
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    assert "no array of numbers" in refused("fit-vae", "objects.npy")
    assert "no file" in refused("fit-vae", "none.npy")


def test_datasets_are_listed(call):
    answer = call("datasets", "--json")
    assert {row["name"] for row in json.loads(answer.out)} == set(catalogue.DATASETS)
    assert "scikit-learn" in call("datasets").out


def test_a_folder_in_use_is_refused(refused, encoding):
    assert "already holds a run" in refused("fit-vae", "digits", "--out", encoding)


@pytest.mark.parametrize("name", ["model.safetensors", "history.json", "rows.safetensors"])
def test_a_damaged_run_is_refused(refused, encoding, name):
    path = encoding / name
    path.write_bytes(path.read_bytes()[:40])
    assert refused("report", encoding)


@pytest.mark.parametrize(
    "key",
    [
        *("job", "request", "results", "binarisation", "seconds", "evaluation_seconds"),
        *("options", "shape", "status"),
    ],
)
@pytest.mark.parametrize("value", ["absent", None, 0, 7, [], {}])
@pytest.mark.few(12)
def test_a_record_with_a_broken_entry_never_shows_a_traceback(call, encoding, key, value):
    record = json.loads((encoding / "run.json").read_text())
    record[key] = value
    if value == "absent":
        del record[key]
    (encoding / "run.json").write_text(json.dumps(record))
    for verb, rest in {"resume": [], "sample": ["-n", 2, "-o", "draws.npy"]}.items():
        answer = call(verb, encoding, *rest)
        if answer.code != 0:
            assert answer.code == 1
            assert answer.err.startswith("thalweg: ")
            assert answer.err.count("\n") == 1


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.slow
def test_a_stopped_run_is_resumed_to_its_end(start, tmp_path, how):
    folder = tmp_path / "run"
    words = [*TINY, "--hidden", 16, "--steps", 4000]
    process = start("fit-vae", "digits", *words, "--json", "--out", folder)
    for line in process.stderr:
        if "planar: step" in line:
            break
    process.send_signal(how)
    _, err = process.communicate(timeout=300)
    assert "Traceback" not in err
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert f"thalweg resume {folder}" in err
        aged(folder / "checkpoint.safetensors", 1000)
    again = start("resume", folder, "--json")
    out, err = again.communicate(timeout=300)
    assert again.returncode == 0, err
    assert json.loads(out)["steps"] == 4000
    assert (json.loads(out)["seconds"] > 1000) == (how == signal.SIGINT)
    assert not list(folder.glob(".*"))
    assert not (folder / "checkpoint.safetensors").exists()
