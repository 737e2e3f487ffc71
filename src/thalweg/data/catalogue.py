"""Image data sets by name: their sources, checksums and splits."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from thalweg.data.archives import read_amat, read_cifar, read_idx
from thalweg.data.download import fetch
from thalweg.data.observations import BINARISATIONS, Bits, Grey, Observations, Patches
from thalweg.files.npz import read_archive
from thalweg.files.regular import check_regular

FIXED = "fixed"  # the name of a binarisation that was published with the data
VARIABLE = "THALWEG_DATA"
Arrays = dict[str, Any]


class Splits(NamedTuple):
    """Training, validation and test rows.

    Args:
        train: Training rows.
        valid: Validation rows, by which early stopping chooses.
        test: Test rows.
        binarisation: How grey pixels become zeros and ones: "dynamic", "threshold", "none" or
            "fixed".

    Example:
        >>> import thalweg as tw
        >>> splits = tw.data.load("digits", "none")
        >>> len(splits.train), len(splits.valid), len(splits.test), splits.binarisation
        (1347, 150, 300, 'none')
    """

    train: Observations
    valid: Observations
    test: Observations
    binarisation: str


@dataclass(frozen=True)
class Dataset:
    """A data set: `files` lists for each file the mirrors it may be had from.

    `contents` is the SHA-256 of the bytes of its arrays in the order of their names, so that a copy
    is verified whatever file it came in. The last `held_out` training images are for validation.
    With `patch`, rows are random squares of so many pixels a side, and `shape` is theirs.
    """

    name: str
    about: str
    shape: tuple[int, ...]
    rows: int
    stem: str
    contents: str = ""
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    parse: Callable[[Mapping[str, Path]], Arrays] | None = None
    held_out: int = 0
    binary: bool = False
    patch: int = 0


def _each(read: Callable[[Path], np.ndarray]) -> Callable[[Mapping[str, Path]], Arrays]:
    return lambda paths: {key: read(path) for key, path in paths.items()}


def _mirrored(names: Mapping[str, str], *folders: str) -> dict[str, tuple[str, ...]]:
    return {key: tuple(f"{at}/{name}" for at in folders) for key, name in names.items()}


IDX = {
    "x_train": "train-images-idx3-ubyte.gz",
    "y_train": "train-labels-idx1-ubyte.gz",
    "x_test": "t10k-images-idx3-ubyte.gz",
    "y_test": "t10k-labels-idx1-ubyte.gz",
}
CIFAR = "3937bcc4feed1f2d8bae7f6c25b472b7f21810e3de8edcc4f40791c11713b89e"
CIFAR_AT = {"all": ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",)}
AMAT = {part: f"binarized_mnist_{part}.amat" for part in ("train", "valid", "test")}

DATASETS: dict[str, Dataset] = {
    each.name: each
    for each in (
        Dataset(
            "digits",
            "handwritten digits of scikit-learn, which come with it",
            (8, 8),
            1797,
            "digits",
        ),
        Dataset(
            "mnist",
            "handwritten digits (LeCun et al. 1998)",
            (28, 28),
            70_000,
            "mnist",
            "c868f4cc70f1ec2961bd3b26437ea3a5d0e93cba4d95b336c6d475dd9dabb021",
            _mirrored(
                IDX,
                "https://storage.googleapis.com/cvdf-datasets/mnist",
                "https://ossci-datasets.s3.amazonaws.com/mnist",
            ),
            _each(read_idx),
            10_000,
        ),
        Dataset(
            "binarized_mnist",
            "MNIST in the fixed binarisation (Larochelle & Murray 2011)",
            (28, 28),
            70_000,
            "binarized_mnist_static",
            "62b0b271245d305e2226f9bc5706b5007f8433ed06500f958a9dfd6f05a3f17a",
            _mirrored(
                AMAT,
                "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist",
                "https://storage.googleapis.com/tensorflow/tf-keras-datasets",
            ),
            _each(read_amat),
            binary=True,
        ),
        Dataset(
            "fashion_mnist",
            "pictures of clothes (Xiao et al. 2017)",
            (28, 28),
            70_000,
            "fashion",
            "59c4ea05a36442d6513afff578fc9c4a49bab9b60a7432bf84452b97809256a8",
            _mirrored(
                IDX,
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
                "https://storage.googleapis.com/tensorflow/tf-keras-datasets/fashion-mnist",
            ),
            _each(read_idx),
            10_000,
        ),
        Dataset(
            "cifar10",
            "colour photographs (Krizhevsky 2009)",
            (32, 32, 3),
            60_000,
            "cifar10",
            CIFAR,
            CIFAR_AT,
            lambda paths: read_cifar(paths["all"]),
            5000,
        ),
        Dataset(
            "cifar10_patches",
            "patches of those photographs, cut anew at each step",
            (8, 8, 3),
            60_000,
            "cifar10",
            CIFAR,
            CIFAR_AT,
            lambda paths: read_cifar(paths["all"]),
            5000,
            patch=8,
        ),
    )
}


def find(name: str) -> Dataset:
    """Return the data set of that name; raises `ValueError` that lists the known ones."""
    if name not in DATASETS:
        raise ValueError(f"unknown data set {name!r}; known: {', '.join(sorted(DATASETS))}")
    return DATASETS[name]


def load(name: str, binarisation: str | None = None) -> Splits:
    """Load a data set as training, validation and test rows.

    Files are looked for in the folder $THALWEG_DATA and in the user's cache, and downloaded there
    otherwise.

    Args:
        name: A name of `DATASETS`.
        binarisation: How grey images are binarised, "dynamic" where it is None; "none": not at all.

    Returns:
        The three tables of rows.

    Raises:
        ValueError: The name is unknown, the data set does not have this binarisation, or a file is
            damaged.
        ConnectionError: A file is not at hand and cannot be downloaded.

    Example:
        >>> import thalweg as tw
        >>> tw.data.load("digits").train.shape
        (8, 8)
    """
    found = find(name)
    if found.binary:
        if binarisation not in (None, FIXED):
            raise ValueError(f"{name} has a fixed binarisation; {binarisation!r} is not to be had")
        got = arrays(found)
        train, valid, test = (Bits(got[part], found.shape) for part in AMAT)
        return Splits(train, valid, test, FIXED)
    kind = "dynamic" if binarisation is None else binarisation
    if kind not in BINARISATIONS:
        raise ValueError(f"unknown binarisation {kind!r}; known: {', '.join(BINARISATIONS)}")
    if found.patch:
        if binarisation not in (None, "none"):
            raise ValueError(f"{name} has no binarisation; {binarisation!r} is not to be had")
        cuts = [Patches(part, found.patch) for part in _split_images(found)]
        return Splits(cuts[0], cuts[1], cuts[2], "none")
    images = _digits() if name == "digits" else _split_images(found)
    tables = [Grey(part, kind) for part in images]
    return Splits(tables[0], tables[1], tables[2], kind)


def _split_images(dataset: Dataset) -> list[np.ndarray]:
    got = arrays(dataset)
    return [*np.split(got["x_train"], [-dataset.held_out]), got["x_test"]]


def _digits() -> list[np.ndarray]:
    """Levels 0 … 16 as bytes, shuffled: 1347 training, 150 validation and 300 test images."""
    from sklearn.datasets import load_digits

    images = np.round(load_digits().images * (255 / 16)).astype(np.uint8)
    images = images[np.random.default_rng(0).permutation(len(images))]
    return np.split(images, [1347, 1497])


def arrays(dataset: Dataset) -> Arrays:
    """Return the arrays of a data set, verified; downloaded where they are not at hand."""
    cache = _cache()
    for folder in (os.environ.get(VARIABLE), cache):
        path = Path(folder) / f"{dataset.stem}.npz" if folder else None
        if path is not None and os.path.lexists(path):
            check_regular(path)
            return _read(path, dataset)
    return _download(dataset, cache)


def _cache() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("thalweg")) / "data"


def _read(path: Path, dataset: Dataset) -> Arrays:
    try:
        got = read_archive(path)
    except ValueError as error:
        raise ValueError(f"{error}; remove it") from None
    if _contents(got) != dataset.contents:
        raise ValueError(f"{path} is not {dataset.name}: its contents are others; remove it")
    return dict(got)


def _contents(got: Arrays) -> str:
    whole = hashlib.sha256()
    for key in sorted(got):
        whole.update(np.ascontiguousarray(got[key]).tobytes())
    return whole.hexdigest()


def _download(dataset: Dataset, cache: Path) -> Arrays:
    assert dataset.parse is not None
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{dataset.stem}.", dir=cache) as folder:
        try:
            paths = {key: fetch(urls, Path(folder)) for key, urls in dataset.files.items()}
        except ConnectionError as error:
            raise ConnectionError(
                f"{error} {dataset.stem}.npz in the folder ${VARIABLE} would do instead"
            ) from None
        got = dataset.parse(paths)
        if _contents(got) != dataset.contents:
            raise ValueError(f"what was downloaded is not {dataset.name}: its contents are others")
        whole = Path(folder) / f"{dataset.stem}.npz"
        np.savez_compressed(whole, **got)
        whole.replace(cache / whole.name)
    return got
