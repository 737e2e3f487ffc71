"""thalweg: variational inference and density estimation with normalizing flows."""

__version__ = "0.1.0"

# Nothing is imported until it is used: `thalweg --help` answers without JAX. Here nothing
# at all is: the command line takes Ctrl-C over right after this module.
TYPE_CHECKING = False
_MODULES = (
    "bijections",
    "data",
    "distributions",
    "flows",
    "latent",
    "nets",
    "objectives",
    "supports",
    "targets",
    "training",
)
# These need a package that may be missing, so `from thalweg import *` leaves them alone.
_EXTRAS = ("numpyro",)
_NAMES = {
    "DensityEstimator": "thalweg.density",
    "Flow": "thalweg.distributions",
    "LatentGaussianModel": "thalweg.latent",
    "Parameters": "thalweg.parameters",
    "Posterior": "thalweg.inference",
    "infer": "thalweg.inference",
    "load": "thalweg.saving",
    "save": "thalweg.saving",
}

if TYPE_CHECKING:
    from typing import Any

    from thalweg import bijections as bijections
    from thalweg import data as data
    from thalweg import distributions as distributions
    from thalweg import flows as flows
    from thalweg import latent as latent
    from thalweg import nets as nets
    from thalweg import numpyro as numpyro
    from thalweg import objectives as objectives
    from thalweg import supports as supports
    from thalweg import targets as targets
    from thalweg import training as training
    from thalweg.density import DensityEstimator as DensityEstimator
    from thalweg.distributions import Flow as Flow
    from thalweg.inference import Posterior as Posterior
    from thalweg.inference import infer as infer
    from thalweg.latent import LatentGaussianModel as LatentGaussianModel
    from thalweg.parameters import Parameters as Parameters
    from thalweg.saving import load as load
    from thalweg.saving import save as save

__all__ = [
    *("DensityEstimator", "Flow", "LatentGaussianModel", "Parameters", "Posterior"),
    *("infer", "load", "save"),
    *_MODULES,
]


def __getattr__(name: str) -> "Any":
    import importlib

    if name in _MODULES + _EXTRAS:
        return importlib.import_module(f"thalweg.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'thalweg' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_EXTRAS})
