"""All numbers of a fit that its verdict, its page and its run folder state, as one value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Num

from thalweg.diagnostics.entries import Entries
from thalweg.diagnostics.importance import WeightDiagnostics
from thalweg.diagnostics.missed_mass import MissedMass, missed_mass
from thalweg.diagnostics.rounding import Rounding


@dataclass(frozen=True, eq=False)
class MixtureEvidence(Entries):
    """ln Z with draws of all restarts, modes and wide laws, and how far the flow is from them.

    `components` is the number of laws, `draws` that of all draws, and `unseen` the part of the mass
    that the tail of the weights may have beyond them. `mean_off` is how far a mean of the flow's
    own draws may be from that of all laws: the largest distance in standard deviations, with two
    standard errors added. Of corrected draws `corrected_mean_off` is the same, and
    `corrected_mean_shown` has them taken off: that much is beyond doubt. So is `sd_shown`, the
    largest relative error of a standard deviation of the flow's own draws.
    """

    log_evidence: float
    log_evidence_se: float
    components: int = 0
    draws: int = 0
    unseen: float = 0.0
    mean_off: float = 0.0
    corrected_mean_off: float = 0.0
    corrected_mean_shown: float = 0.0
    sd_shown: float = 0.0

    def missed_by(self, log_evidence: float, log_evidence_se: float) -> MissedMass:
        """Return the mass that a flow misses, by its own ln Z and this one."""
        here = self.log_evidence, self.log_evidence_se
        return missed_mass(log_evidence, log_evidence_se, *here, self.unseen)


@dataclass(frozen=True, eq=False)
class ModeCoverage(Entries):
    """Distinct modes that a search found, from how many starts, and the part the flow misses."""

    modes: int
    starts: int
    unseen: float


@dataclass(frozen=True, eq=False)
class Restarts(Entries):
    """The best mean objective (nats) of each restart, its steps skipped, and steps annealed."""

    OPTIONAL: ClassVar = frozenset({"objective", "skipped_steps", "annealed_steps"})

    objective: Float[np.ndarray, " restarts"] | None = None
    skipped_steps: Num[np.ndarray, " restarts"] | None = None
    annealed_steps: Float[np.ndarray, " restarts"] | None = None
    best: int = 0

    @property
    def count(self) -> int:
        """The number of restarts; 0 where no flow was fitted."""
        return 0 if self.objective is None else len(self.objective)


@dataclass(frozen=True, eq=False)
class StartSummary(Entries):
    """The Gaussian that the fit began at, its ELBO (nats), and the number of modes found."""

    chosen: str = ""
    elbo: float = math.nan
    modes: int = 0


def _unknown() -> MixtureEvidence:
    return MixtureEvidence(math.nan, math.nan)


@dataclass(frozen=True, eq=False)
class Diagnostics(WeightDiagnostics):
    """The diagnostics of a fit: its own importance weights first, then everything beside them.

    `kl` is ln Z − ELBO where the target states ln Z, else None; `draws` is the number of draws
    behind the weights, `mean_shift` the largest change of a mean by them (standard deviations),
    `kept` "flow", "gaussian" or "triangular map", `flow_elbo` the ELBO of the flow whichever was
    kept, `gaussian` the diagnostics of the Gaussian fitted beside it, `coverage` the evidence with
    draws from elsewhere, `census` the coverage of modes (None where a search listed them all),
    `not_finite` steps whose gradient was not finite, by the name of the parameter, and `parameters`
    their number. `rounding` is that of the density in a fit of this `precision`. `out_of_time` says
    that a time limit ended the fit early.
    """

    kl: float | None = None
    draws: int = 1000
    mean_shift: float = 0.0
    kept: str = "flow"
    flow_elbo: float = math.nan
    gaussian: WeightDiagnostics | None = None
    restarts: Restarts = field(default_factory=Restarts)
    coverage: MixtureEvidence = field(default_factory=_unknown)
    census: ModeCoverage | None = None
    not_finite: Mapping[str, int] = field(default_factory=dict)
    start: StartSummary = field(default_factory=StartSummary)
    parameters: int = 0
    precision: str = "float32"
    rounding: Rounding | None = None
    out_of_time: bool = False

    DERIVED: ClassVar = ("missed_mass", "missed_mass_se", "missed_mass_status")
    OPTIONAL: ClassVar = frozenset({"kl"})
    NESTED: ClassVar = {
        "gaussian": WeightDiagnostics,
        "restarts": Restarts,
        "coverage": MixtureEvidence,
        "census": ModeCoverage,
        "start": StartSummary,
        "rounding": Rounding,
    }

    @property
    def without_flow(self) -> bool:
        """Whether the fit ended at the Gaussian or a triangular map: no flow was fitted."""
        return self.kept != "flow" and self.restarts.objective is None

    @property
    def kept_name(self) -> str:
        """The name of what was kept, in a sentence."""
        return "Gaussian" if self.kept == "gaussian" else self.kept

    @property
    def missed(self) -> MissedMass:
        """The part of the mass that the fit misses, by the evidence of draws from elsewhere."""
        return self.coverage.missed_by(self.log_evidence, self.log_evidence_se)

    @property
    def missed_mass(self) -> float:
        """1 − Z/Z' of the flow's own evidence Z and that of draws from elsewhere Z'."""
        return self.missed.mass

    @property
    def missed_mass_se(self) -> float:
        """The standard error of `missed_mass`."""
        return self.missed.se

    @property
    def missed_mass_status(self) -> str:
        """Whether more than 5 % missing is "shown", "excluded" or "unsettled"."""
        return self.missed.status

    @property
    def gap(self) -> float:
        """ln Z − ELBO (nats), by draws from elsewhere where they know ln Z better.

        An estimate of the reverse KL divergence: no flow sees by itself what it misses.
        """
        log_z, elsewhere = self.log_evidence, self.coverage
        if elsewhere.log_evidence_se < self.log_evidence_se:
            log_z = max(log_z, elsewhere.log_evidence)
        return float(log_z - self.elbo)
