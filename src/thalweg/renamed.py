"""Old names that still work: of classes in model files, and of what Python code imports."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

# Model files hold the names of classes: those of files from before a class was renamed.
CLASSES = {"Turn": "PhaseShift", "Whitening": "FixedAffine"}

# By package: the old name and the name now.
NAMES = {
    "thalweg.bijections": CLASSES,
    "thalweg.training": {"teller": "as_progress"},
}


def find_renamed(package: str, name: str) -> Any:
    """Return the object of an old name of a package, with a `DeprecationWarning`.

    For the `__getattr__` of packages. Raises `AttributeError` for a name that never existed.
    """
    now = NAMES.get(package, {}).get(name)
    if now is None:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    warnings.warn(f"{package}.{name} is now called {now}", DeprecationWarning, stacklevel=3)
    return getattr(importlib.import_module(package), now)
