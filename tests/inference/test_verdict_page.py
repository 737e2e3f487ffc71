"""The page of the rule says the numbers that the code has."""

from pathlib import Path

import pytest

from thalweg.chains import diagnose
from thalweg.inference import coverage, mode_search, stages, verdict

PAGE = Path(__file__).parents[2] / "docs" / "verdict.md"


@pytest.mark.parametrize(
    "words",
    [
        f"S = {stages.DRAWS:,} draws",
        f"under {100 * verdict.LEAST_ESS:.0f} % of the draws",
        f"is at least {100 * verdict.ALIKE_ESS:.1f} %",
        f"most {100 * verdict.BEYOND:.0f} % of the mass lies",
        f"by more than {100 * verdict.MISSED_MASS:.0f} %",
        f"at least {mode_search.MANY} different modes",
        f"all but {100 * verdict.MISSED_MODES:.0f} % of the mass",
        f"at most {verdict.TRUSTED_KL} nats",
        f"at least {100 * verdict.TRUSTED_ESS:.0f} %",
        f"more than {verdict.TRUSTED_SHIFT} standard deviations",
        f"relative error of at most {100 * verdict.CONCLUSIVE:.0f} %",
        f"at most {diagnose.MOST_RHAT} in every parameter",
        f"at least {diagnose.LEAST_ESS}, and at most {100 * diagnose.MOST_DIVERGED:.0f} %",
        {3: "widened three times"}[int(coverage.WIDENED)],
    ],
)
def test_every_number_of_the_rule_stands_on_its_page(words):
    assert words in " ".join(PAGE.read_text(encoding="utf-8").split())
