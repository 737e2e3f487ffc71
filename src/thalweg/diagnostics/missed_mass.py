"""The part of the target's mass that a flow misses: one number with its error, in one sentence.

The verdict, the page, the terminal and the JSON all take it from here.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from thalweg.diagnostics.thresholds import EXCLUDED_SE, MISSED_MASS, SHOWN_SE


class MissedMass(NamedTuple):
    """The part of the mass that the flow misses, its standard error, and what that settles.

    `status` is "excluded" (at most 5 %, with two standard errors to spare), "shown" (above 5 %, and
    three standard errors from none) or "unsettled". `unseen` is how much more there may be by the
    tail of the weights behind the estimate.
    """

    mass: float
    se: float
    unseen: float
    status: str

    @property
    def beyond_doubt(self) -> bool:
        """Whether more draws would hardly change the status."""
        if self.status == "shown":
            return self.mass - SHOWN_SE * self.se > MISSED_MASS
        return self.status == "excluded"

    @property
    def number(self) -> str:
        """ "13.5 ± 5.0 %"; an estimate below zero is shown as zero."""
        if not (math.isfinite(self.mass) and math.isfinite(self.se)):
            return "an unknown part"
        return f"{100 * max(self.mass, 0.0):.1f} ± {100 * self.se:.1f} %"

    def sentence(self) -> str:
        """Say how much mass the flow misses, as far as that is known."""
        if self.status == "shown":
            return f"the flow misses {self.number} of the mass"
        if self.status == "excluded":
            return f"the flow misses {self.number} of the mass, which excludes more than 5 %"
        words = f"whether the flow misses mass could not be settled: by estimate {self.number}"
        if self.unseen > 0.01:
            words += (
                f", and up to {100 * min(self.unseen, 1.0):.0f} % more in the tail of the weights"
            )
        return words


def missed_mass(
    log_evidence: float,
    log_evidence_se: float,
    everywhere: float,
    everywhere_se: float,
    unseen: float = 0.0,
) -> MissedMass:
    """Return the part 1 − Z/Z' of the mass, by ln Z of the flow's own draws and ln Z' of others.

    `unseen` is the part of the mass that the tail of the weights behind Z' may hold.
    """
    ratio = (
        math.exp(min(log_evidence - everywhere, 50.0)) if math.isfinite(everywhere) else math.nan
    )
    mass, se = 1 - ratio, ratio * math.hypot(log_evidence_se, everywhere_se)
    if math.isnan(mass) or math.isnan(se):
        return MissedMass(math.nan, math.nan, unseen, "unsettled")
    if mass > MISSED_MASS and mass > SHOWN_SE * se:
        status = "shown"
    elif max(mass, 0.0) + EXCLUDED_SE * se + unseen <= MISSED_MASS:
        status = "excluded"
    else:
        status = "unsettled"
    return MissedMass(mass, se, unseen, status)
