"""Files of images and data sets that are damaged: one sentence that names the file."""

import gzip
import io
import os
import tarfile

import numpy as np
import pytest
from fuzz.mutations import assert_survives

from thalweg.data import catalogue
from thalweg.data.archives import read_cifar, read_idx
from thalweg.data.files import read_images
from thalweg.latent.job import load

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 4, 4)).astype(np.uint8)
HEAD = bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in IMAGES.shape)


def refusal(loader, path):
    answer = assert_survives(loader, path)
    assert isinstance(answer, ValueError), answer
    assert path.name in str(answer)
    return str(answer)


def test_members_of_archives_that_are_damaged(tmp_path):
    path = tmp_path / "images.npz"
    np.savez_compressed(path, IMAGES)
    whole = path.read_bytes()
    kinds = set()
    for at in range(80, len(whole) - 120, 5):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        kinds.add(refusal(read_images, path).partition("(")[2])
    assert {"error)", "BadZipFile)"} <= kinds  # of zlib, and of a checksum


@pytest.mark.parametrize(
    ("at", "value", "words"), [(8, 1, "is encrypted"), (10, 99, "another method than NumPy's")]
)
def test_archives_of_images_that_are_encrypted_or_packed_otherwise(tmp_path, at, value, words):
    path = tmp_path / "images.npz"
    np.savez(path, IMAGES)
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + at] = value
    path.write_bytes(raw)
    assert words in refusal(read_images, path)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.zeros((0, 4, 4)), "rows, …"),
        (np.zeros(5), "rows, …"),
        (np.full((4, 2), np.nan), "image 0 holds values that are not finite"),
        (np.full((4, 2), 3.0), r"pixels must lie in [0, 1] or be bytes, got values from 3 to 3"),
        (np.full((4, 2), "a"), "arrays of numbers"),
        (np.full((4, 2), 1j), "real numbers"),
        (np.zeros((2, 2)), "holds 2 images; three are the least"),
    ],
)
def test_images_that_are_none_are_refused_by_the_name_of_the_file(tmp_path, images, words):
    np.save(tmp_path / "images.npy", images)
    request = {"dataset": str(tmp_path / "images.npy"), "binarisation": None, "seed": 0}
    assert words in refusal(lambda path: load({**request, "options": {}}), tmp_path / "images.npy")


def test_images_as_objects_are_never_unpickled(tmp_path):
    np.save(tmp_path / "images.npy", np.array([{}], object), allow_pickle=True)
    assert "never unpickled" in refusal(read_images, tmp_path / "images.npy")


def test_archives_and_arrays_are_known_by_what_they_hold(tmp_path):
    with (tmp_path / "images.npz").open("wb") as stream:
        np.save(stream, IMAGES)
    np.testing.assert_array_equal(read_images(tmp_path / "images.npz"), IMAGES)
    with (tmp_path / "images.npy").open("wb") as stream:
        np.savez(stream, IMAGES)
    np.testing.assert_array_equal(read_images(tmp_path / "images.npy"), IMAGES)


def test_a_data_set_that_is_one_array_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv(catalogue.VARIABLE, str(tmp_path))
    with (tmp_path / "mnist.npz").open("wb") as stream:
        np.save(stream, IMAGES)
    words = refusal(lambda path: catalogue.load("mnist"), tmp_path / "mnist.npz")
    assert "seems to be an array of NumPy" in words
    assert words.endswith("remove it")


def test_images_that_declare_more_than_there_is(tmp_path):
    huge = bytes([0, 0, 8, 3]) + b"\xff" * 12
    for name, content in {"idx": huge, "idx.gz": gzip.compress(huge)}.items():
        (tmp_path / name).write_bytes(content + b"\0" * 100)
        refusal(read_idx, tmp_path / name)
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(HEAD + b"\0" * 2**28, 1))
    assert "declares 320 bytes and holds more" in refusal(read_idx, tmp_path / "bomb.gz")
    os.mkfifo(tmp_path / "pipe.npy")
    assert "is a pipe" in refusal(read_images, tmp_path / "pipe.npy")


@pytest.mark.parametrize("content", [b"", HEAD[:3], HEAD[:9], HEAD, HEAD + b"\0" * 319, b"\1" * 99])
def test_idx_files_that_end_too_soon(tmp_path, content):
    (tmp_path / "idx").write_bytes(content)
    refusal(read_idx, tmp_path / "idx")
    (tmp_path / "idx.gz").write_bytes(gzip.compress(content)[:-5])
    refusal(read_idx, tmp_path / "idx.gz")


def test_an_archive_of_cifar_with_a_link_to_itself(tmp_path):
    with tarfile.open(tmp_path / "cifar.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("cifar-10-batches-bin/data_batch_1.bin")
        member.type, member.linkname = tarfile.SYMTYPE, "data_batch_1.bin"
        archive.addfile(member, io.BytesIO())
    answer = refusal(read_cifar, tmp_path / "cifar.tar.gz")
    assert "data_batch_1 is no file of 10,000 images" in answer
