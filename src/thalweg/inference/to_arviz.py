"""A posterior as an ArviZ object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.chains.arviz import arviz_of

if TYPE_CHECKING:
    from thalweg.inference.posterior import Posterior

CHAINS = 4


def to_arviz(posterior: Posterior, n: int, seed: int, corrected: bool) -> Any:
    """Draws as an ArviZ object: InferenceData (ArviZ 0.x) or a DataTree (1.x).

    The draws are independent and stand as four chains, which is what R̂ wants to compare.
    """
    each = -(-n // CHAINS)
    points = posterior.coordinates(CHAINS * each, seed, corrected=corrected)
    numbers = posterior.diagnostics
    facts = {
        "verdict": posterior.verdict,
        "corrected": int(corrected),
        **{key: float(numbers[key]) for key in ("elbo", "log_evidence", "khat", "ess_fraction")},
    }
    draws = np.asarray(points).reshape(CHAINS, each, posterior.dim)
    return arviz_of(draws, posterior.coordinate_names, posterior.parameters, facts)
