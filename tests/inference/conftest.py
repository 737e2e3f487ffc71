"""Inference tests fit the same few densities again and again."""

import pytest
from inference.compiled import folder_of, kept_in
from inference.fits import fit


@pytest.fixture(scope="module", autouse=True)
def use_cache(tmp_path_factory):
    with kept_in(folder_of(tmp_path_factory)):
        yield


@pytest.fixture(scope="module")
def fitted():
    """The small fit of `fits`, as it comes out."""
    return fit()
