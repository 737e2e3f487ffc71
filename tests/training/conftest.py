"""Fits that tests of the training loop compare with."""

import pytest
from training.fits import run


@pytest.fixture(scope="module")
def fitted():
    return run()
