"""One small fit for all tests of inference."""

import pytest
from inference.fits import fit


@pytest.fixture(scope="module")
def fitted():
    """The small fit of `fits`, as it comes out."""
    return fit()
