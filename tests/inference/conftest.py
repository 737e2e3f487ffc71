"""Inference tests fit the same few densities again and again."""

import pytest
from inference.compiled import folder_of, kept_in


@pytest.fixture(scope="module", autouse=True)
def use_cache(tmp_path_factory):
    with kept_in(folder_of(tmp_path_factory)):
        yield
