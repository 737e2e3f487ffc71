"""Posteriors with known answers, written as plain JAX log densities of named parameters.

Each file holds one family. Densities have all the constants of their Stan programs, so that
evidences can be compared.
"""

from __future__ import annotations

from posterior_models import (
    built_in,
    eight_schools,
    german_credit,
    hierarchical_logistic,
    regressions,
    small,
    time_series,
)
from posterior_models.case import Case as Case
from posterior_models.case import Reference as Reference

FAMILIES = (
    time_series,
    regressions,
    eight_schools,
    small,
    german_credit,
    hierarchical_logistic,
    built_in,
)


def models() -> dict[str, Case]:
    """All cases by name; nothing is read before a case's target is made."""
    return {case.name: case for family in FAMILIES for case in family.cases()}
