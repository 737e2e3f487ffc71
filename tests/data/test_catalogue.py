"""Data sets: digits come with the package, others are looked for, verified, downloaded."""

import gzip
import hashlib
import http.server
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.data import catalogue, download
from thalweg.data.archives import read_amat, read_idx

RNG = np.random.default_rng(0)
CONTENTS = {
    key: RNG.integers(0, 256, (rows, *shape)).astype(np.uint8)
    for key, rows, shape in (
        ("x_train", 20, (4, 4)),
        ("y_train", 20, ()),
        ("x_test", 5, (4, 4)),
        ("y_test", 5, ()),
    )
}


def digest(arrays):
    return hashlib.sha256(b"".join(arrays[k].tobytes() for k in sorted(arrays))).hexdigest()


def idx(array):
    head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return gzip.compress(head + array.tobytes())


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A mirror on this machine, and a small data set that it holds; nothing waits."""
    root = tmp_path / "site"
    root.mkdir()
    for key, name in catalogue.IDX.items():
        (root / name).write_bytes(idx(CONTENTS[key]))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args, **options):
            super().__init__(*args, directory=str(root), **options)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    at = f"http://127.0.0.1:{server.server_port}"
    small = catalogue.Dataset(
        "small",
        "noise",
        (4, 4),
        25,
        "small",
        digest(CONTENTS),
        catalogue._mirrored(catalogue.IDX, f"{at}/gone", at),
        catalogue._each(catalogue.read_idx),
        4,
    )
    monkeypatch.setitem(catalogue.DATASETS, "small", small)
    monkeypatch.setattr(download, "PAUSE", 0.0)
    monkeypatch.delenv(catalogue.VARIABLE, raising=False)
    yield root
    server.shutdown()
    server.server_close()


def cached(tmp_path):
    return sorted(p.name for p in (tmp_path / "cache").rglob("*") if p.is_file())


def test_digits_come_with_the_package():
    parts = catalogue.load("digits")
    assert [len(part) for part in parts[:3]] == [1347, 150, 300]
    assert parts.binarisation == "dynamic"
    assert parts.train.shape == (8, 8)
    x = parts.train.rows(jnp.arange(5), jax.random.key(0))
    assert set(np.unique(x)) == {0.0, 1.0}


def test_a_data_set_is_downloaded_once_from_the_mirror_that_has_it(site, tmp_path):
    parts = catalogue.load("small", "none")
    assert [len(part) for part in parts[:3]] == [16, 4, 5]
    x = parts.valid.rows(jnp.arange(4), jax.random.key(0))
    np.testing.assert_allclose(x, CONTENTS["x_train"][16:].reshape(4, -1) / 255, rtol=1e-6)
    assert cached(tmp_path) == ["small.npz"]
    for path in site.iterdir():
        path.unlink()
    assert len(catalogue.load("small").train) == 16


def test_the_folder_of_the_user_comes_first(site, tmp_path, monkeypatch):
    own = tmp_path / "own"
    own.mkdir()
    np.savez(own / "small.npz", **CONTENTS)
    for path in site.iterdir():
        path.unlink()
    monkeypatch.setenv(catalogue.VARIABLE, str(own))
    assert len(catalogue.load("small").test) == 5
    assert cached(tmp_path) == []


def test_without_a_network_it_is_said_what_would_do(site, tmp_path):
    for path in site.iterdir():
        path.unlink()
    with pytest.raises(ConnectionError, match=r"is there a network\? small.npz in the folder"):
        catalogue.load("small")
    assert cached(tmp_path) == []


@pytest.mark.parametrize("how", ["truncated", "changed", "other"])
def test_a_download_that_is_not_the_data_set_is_refused(site, tmp_path, how):
    path = site / catalogue.IDX["x_train"]
    raw = path.read_bytes()
    changed = CONTENTS["x_train"].copy()
    changed[3, 1, 1] ^= 1
    path.write_bytes({"truncated": raw[:-40], "changed": idx(changed), "other": b"<html>"}[how])
    with pytest.raises(ValueError, match=r"damaged|contents|IDX"):
        catalogue.load("small")
    assert cached(tmp_path) == []


@pytest.mark.parametrize("how", ["truncated", "changed", "pickled"])
def test_a_file_that_is_not_the_data_set_is_refused(site, tmp_path, monkeypatch, how):
    path = tmp_path / "small.npz"
    changed = {**CONTENTS, "x_test": CONTENTS["x_test"] + 1}
    if how == "pickled":
        changed = {**CONTENTS, "x_test": np.array([{}], object)}
    np.savez(path, **(changed if how != "truncated" else CONTENTS))
    if how == "truncated":
        path.write_bytes(path.read_bytes()[:300])
    monkeypatch.setenv(catalogue.VARIABLE, str(tmp_path))
    with pytest.raises(ValueError, match=r"damaged|contents|unpickled"):
        catalogue.load("small")


def test_missing_things_are_named(site):
    with pytest.raises(ValueError, match="unknown data set 'mnits'; known: "):
        catalogue.load("mnits")
    with pytest.raises(ValueError, match="unknown binarisation 'static'"):
        catalogue.load("small", "static")
    with pytest.raises(ValueError, match="fixed binarisation"):
        catalogue.load("binarized_mnist", "dynamic")


def test_text_files_of_bits(tmp_path, rng):
    rows = rng.integers(0, 2, (3, 11))
    path = tmp_path / "bits.amat"
    path.write_text("".join(" ".join(map(str, row)) + "\n" for row in rows))
    np.testing.assert_array_equal(np.unpackbits(read_amat(path), axis=1, count=11), rows)
    path.write_text("0 1 0\n1 0\n")
    with pytest.raises(ValueError, match="differ in length"):
        read_amat(path)


def test_idx_files_may_be_plain(tmp_path):
    path = tmp_path / "plain"
    path.write_bytes(gzip.decompress(idx(CONTENTS["x_test"])))
    np.testing.assert_array_equal(read_idx(path), CONTENTS["x_test"])
