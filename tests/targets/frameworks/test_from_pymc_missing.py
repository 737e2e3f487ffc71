"""The error where PyMC is not installed; this runs whether it is or not."""

import sys

import pytest

from thalweg.targets import from_pymc


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymc", None)
    with pytest.raises(ValueError, match=r"needs pymc: pip install 'thalweg\[pymc\]'$"):
        from_pymc(object())
