"""Two-dimensional targets of which a flow easily loses a part: energies, and small far modes."""

from __future__ import annotations

from posterior_models.built_in import known_case
from posterior_models.case import Case

# The part of the mass in the smaller mode, in per cent, and how far it is away.
HIDDEN = ((2, 8.0), (5, 8.0), (15, 8.0), (20, 20.0))


def cases() -> list[Case]:
    """The energies, and mixtures by the part of the mass in the smaller mode."""
    energies = [known_case(name, name, {}) for name in ("u1", "u2", "u3", "u4")]
    return energies + [
        known_case(
            f"hidden_{share}", "two_modes", {"weight": 1 - share / 100, "separation": separation}
        )
        for share, separation in HIDDEN
    ]
