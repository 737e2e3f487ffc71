"""Flows inside NumPyro: an autoguide, and a flow as a distribution and as a transform of NumPyro.

Importing this needs NumPyro, and raises `ImportError` in one sentence where it is missing.
"""

# Within this package `numpyro` is NumPyro itself: imports are absolute.
try:
    import numpyro as _numpyro  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError(
        f"thalweg.numpyro needs {error.name}: pip install 'thalweg[numpyro]'"
    ) from None

from thalweg.numpyro.distribution import FlowDistribution as FlowDistribution
from thalweg.numpyro.guide import AutoFlow as AutoFlow
from thalweg.numpyro.transform import FlowTransform as FlowTransform
