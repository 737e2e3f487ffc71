"""A posterior as ArviZ knows one: both the one before its reorganisation (0.x) and after (1.x)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from thalweg.inference.posterior import Posterior

CHAINS = 4


def to_arviz(posterior: Posterior, n: int, seed: int, corrected: bool) -> Any:
    """Draws as an ArviZ object: InferenceData (ArviZ 0.x) or a DataTree (1.x).

    The draws are independent and stand as four chains, which is what R̂ wants to compare.
    """
    each = -(-n // CHAINS)
    draws: Any = (
        posterior.resample(CHAINS * each, seed)
        if corrected
        else (posterior.sample(CHAINS * each, seed))
    )
    flat: dict[str, Any]
    if posterior.parameters is None:
        rows = np.asarray(draws)
        flat = {name: rows[:, i] for i, name in enumerate(posterior.coordinate_names)}
    else:
        flat = posterior.parameters.by_name(draws)
    chains = {k: np.asarray(v).reshape(CHAINS, each, *np.shape(v)[1:]) for k, v in flat.items()}
    numbers = posterior.diagnostics
    facts = {
        "inference_library": "thalweg",
        "verdict": posterior.verdict,
        "corrected": int(corrected),
        **{key: float(numbers[key]) for key in ("elbo", "log_evidence", "khat", "ess_fraction")},
    }
    try:
        found = _from_dict(chains)
    except ModuleNotFoundError as error:
        raise ValueError(f"to_arviz needs {error.name}: pip install 'thalweg[arviz]'") from None
    found["posterior"].attrs.update(facts)
    return found


def _from_dict(chains: dict[str, np.ndarray]) -> Any:
    try:
        from arviz_base import from_dict  # ArviZ 1.x
    except ModuleNotFoundError:
        from arviz import from_dict  # 0.x

        return from_dict(posterior=chains)
    return from_dict({"posterior": chains})
