"""Summaries of an evaluation: means over images, with standard errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from thalweg.latent.evaluation import FEW, Evaluation


def summary(found: Evaluation, draws: int) -> dict[str, Any]:
    """Return means over images in nats, with standard errors over images."""
    return {
        **_bound(found),
        "nll": -_mean(found.log_likelihood),
        "nll_se": _error(found.log_likelihood),
        # The error of ln p(x) of an image from the draws, as opposed to the choice of images.
        "draws_se": _mean(found.log_likelihood_se),
        "effective_draws": float(np.median(found.effective(draws))),
        "rows_of_few": int(np.sum(found.effective(draws) < FEW)),
    }


def corrected(every: Evaluation, some: Evaluation) -> dict[str, Any]:
    """Return means over all images, from few draws of every one and many of the first of them.

    Two-phase sampling (Cochran 1977, chapter 12): ln p(x) by few draws is too low, by an amount
    that differs little between images. The mean over all images by few draws, plus the mean gain of
    many draws over some, is as good as many draws of all for a fraction of the cost. The standard
    error includes both: √(Var[few]/N + Var[many − few]/n). The bound and its terms need no
    correction.
    """
    few = np.asarray(every.log_likelihood, np.float64)
    many = np.asarray(some.log_likelihood, np.float64)
    gain = many - few[: len(many)]
    return {
        **_bound(every),
        "nll": -(_mean(few) + _mean(gain)),
        "nll_se": float(np.hypot(_error(few), _error(gain))),
        "gain": _mean(gain),
        "gain_se": _error(gain),
        "all_rows": len(few),
    }


def draws_per_second(record: Mapping[str, Any]) -> float:
    """Return the latent draws decoded and weighted in a second, over all images."""
    results, few = record["results"], record["request"]["few"]
    drawn = results["rows"] * results["draws"]
    if "all_rows" in results:
        drawn += results["all_rows"] * few
    return float(drawn / record["evaluation_seconds"])


def _bound(found: Evaluation) -> dict[str, Any]:
    return {
        "elbo": _mean(found.bound),
        "elbo_se": _error(found.bound),
        "kl": _mean(found.kl),
        "terms": {
            "reconstruction": _mean(found.reconstruction),
            "log_prior": _mean(found.log_prior),
            "log_base": _mean(found.log_base),
            "log_det": _mean(found.log_det),
        },
    }


def _mean(values: Float[jax.Array | np.ndarray, " rows"]) -> float:
    return float(np.mean(np.asarray(values, np.float64)))


def _error(values: Float[jax.Array | np.ndarray, " rows"]) -> float:
    values = np.asarray(values, np.float64)
    return float(values.std(ddof=1) / values.size**0.5) if values.size > 1 else float("nan")
