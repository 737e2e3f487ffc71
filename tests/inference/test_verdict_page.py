"""The page of the rule and the README say the numbers that the code has."""

from pathlib import Path

import pytest

from thalweg.chains import diagnose
from thalweg.inference import (
    coverage,
    judgement,
    missed_mass,
    mode_search,
    pareto,
    refine,
    runaway,
    verdict,
)

ROOT = Path(__file__).parents[2]


def text(name):
    return " ".join((ROOT / name).read_text(encoding="utf-8").split())


@pytest.mark.parametrize(
    "words",
    [
        f"S = {judgement.DRAWS:,} draws",
        f"under {100 * verdict.LEAST_ESS:.0f} % of the draws",
        f"is at least {100 * verdict.ALIKE_ESS:.1f} %",
        f"most {100 * verdict.BEYOND:.0f} % of the mass lies",
        f"off by more than {verdict.KNOWN_OFF} nats and three standard errors",
        f"shown to be more than {100 * missed_mass.MISSED_MASS:.0f} %",
        f"is more than {100 * verdict.SUSPECTED_MASS} % by estimate",
        f"above {100 * missed_mass.MISSED_MASS:.0f} %, and three standard errors from none",
        f"at most {100 * missed_mass.MISSED_MASS:.0f} % with two standard errors to spare",
        f"Student laws of {coverage.FREEDOM:.0f} degrees of freedom",
        f"in rounds, at most {coverage.ROUNDS},",
        f"in at most {coverage.ADDED_MAX_DIM} coordinates",
        f"at least {mode_search.MANY} different modes",
        f"all but {100 * verdict.MISSED_MODES:.0f} % of the mass",
        f"at most {verdict.TRUSTED_KL} nats",
        f"at least {100 * verdict.TRUSTED_ESS:.0f} %",
        f"move a mean of the corrected draws by more than {verdict.MEAN_SHOWN} standard",
        f"to be off by more than {100 * verdict.TRUSTED_SD:.0f} %",
        f"by {verdict.MEAN_SHOWN} standard deviations",
        f"move a mean by more than {verdict.TRUSTED_SHIFT} standard deviations",
        f"Up to {runaway.MAX_DIM} parameters, the {runaway.COORDINATES} with the widest draws",
        f"at most {diagnose.MOST_RHAT} in every parameter",
        f"at least {diagnose.LEAST_ESS}, and at most {100 * diagnose.MOST_DIVERGED:.0f} %",
        f"{refine.DRAWS} unless they had to be longer",
        {3: "widened three times"}[int(coverage.WIDENED)],
        {3: "three", 2: "two"}[int(verdict.KNOWN_SE)] + " standard errors",
    ],
)
def test_every_number_of_the_rule_stands_on_its_page(words):
    assert words in text("docs/verdict.md")


def test_w6_the_readme_states_the_rule_on_khat_with_its_exceptions():
    said = (
        f"a k̂ above {pareto.khat_threshold(judgement.DRAWS):g} would reject the fit, for then rare "
        "draws carry weights without a usable variance, unless the effective sample size is at "
        f"least {100 * verdict.FAINT_ESS:.0f} % and at most {100 * verdict.BEYOND:.0f} % of the "
        f"mass lies in that tail, or it is at least {100 * verdict.ALIKE_ESS:.1f} %"
    )
    assert said in text("README.md")
