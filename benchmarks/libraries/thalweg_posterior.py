"""thalweg: `infer` as it is."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import jax
import numpy as np
from jax import monitoring
from posterior_models.score import Fitted

from thalweg import infer as thalweg_infer
from thalweg.precision import computing_in
from thalweg.targets import Target
from thalweg.targets.traced import TracedDensity, density_of

_compiled: list[str] = []


def _heard(event: str, seconds: float, **facts: Any) -> None:
    if event.endswith("backend_compile_duration"):
        _compiled.append(str(facts.get("fun_name", "")))


monitoring.register_event_duration_secs_listener(_heard)


def compile_count() -> int:
    """The programs compiled, or read from disk, so far."""
    return len(_compiled)


OWN = ("elbo", "elbo_se", "log_evidence", "log_evidence_se", "khat", "ess_fraction", "kept")


def infer_again(target: Target, seed: int) -> Fitted:
    """The defaults, for a second density in the same process: the data are others."""
    thalweg_infer(target, seed=seed, progress=False)
    before, cpu = compile_count(), time.process_time()
    fitted = infer(with_other_data(target), seed)
    fitted.numbers["again_cpu"] = time.process_time() - cpu
    fitted.numbers["again_compiled"] = compile_count() - before
    return fitted


def with_other_data(target: Target) -> Target:
    """The target with every number of its data off by some thousandths, in both precisions."""
    other = dataclasses.replace(target, log_z=None)  # which is another one
    for precision in ("float32", "float64"):
        with computing_in(precision):
            rng, density = np.random.default_rng(0), density_of(dataclasses.replace(target))
            data = tuple(_nudged(np.asarray(one), rng) for one in density.data)
            other.traces[precision] = TracedDensity(density.program, jax.device_put(data))
    return other


def _nudged(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if not np.issubdtype(values.dtype, np.floating):
        return values
    return (values * (1 + 1e-3 * rng.normal(size=values.shape))).astype(values.dtype)


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
