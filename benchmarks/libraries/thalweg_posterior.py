"""thalweg: `infer` as it is."""

from __future__ import annotations

from posterior_models.score import Fitted

from thalweg import infer as thalweg_infer
from thalweg.targets import Target

OWN = ("elbo", "elbo_se", "log_evidence", "log_evidence_se", "khat", "ess_fraction", "kept")


def infer(target: Target, seed: int) -> Fitted:
    """The defaults."""
    posterior = thalweg_infer(target, seed=seed, progress=False)
    numbers = {name: posterior.diagnostics[name] for name in OWN}
    numbers["verdict"], numbers["reasons"] = posterior.verdict, posterior.reasons
    numbers["gaussian_elbo"] = posterior.diagnostics["gaussian"]["elbo"]
    numbers["evaluations"] = posterior.record["evaluations"]
    numbers["compile_seconds"] = posterior.record["compile_seconds_total"]
    draws = posterior.draws
    return Fitted(draws.x, draws.log_weights, numbers)
