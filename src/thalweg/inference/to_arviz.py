"""A posterior as an ArviZ object."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from thalweg.chains.arviz import arviz_of
from thalweg.inference.outcome import Outcome

CHAINS = 4


def to_arviz(outcome: Outcome, draws: Float[Any, "n d"], *, corrected: bool) -> Any:
    """Independent draws as an ArviZ object: InferenceData (ArviZ 0.x) or a DataTree (1.x).

    They stand as four chains, which is what R̂ wants to compare; `n` is a multiple of four.
    """
    numbers = outcome.diagnostics
    facts = {
        "verdict": outcome.verdict,
        "corrected": int(corrected),
        **{key: float(numbers[key]) for key in ("elbo", "log_evidence", "khat", "ess_fraction")},
    }
    chains = np.asarray(draws).reshape(CHAINS, -1, outcome.dim)
    return arviz_of(chains, outcome.coordinate_names, outcome.parameters, facts)
