"""The page of the rule and the README say the numbers that the code has."""

from pathlib import Path

import pytest

from thalweg.diagnostics import importance, mixture_evidence, thresholds
from thalweg.inference import defaults
from thalweg.targets import work

ROOT = Path(__file__).parents[2]


def text(name):
    return " ".join((ROOT / name).read_text(encoding="utf-8").split())


@pytest.mark.parametrize(
    "words",
    [
        f"S = {defaults.DRAWS:,} draws ({defaults.STORED_DRAWS:,} of a Gaussian",
        f"under {100 * thresholds.LEAST_ESS:.0f} % of the draws",
        f"at least {work.DEAR:,.0f} numbers on the way to a value",
        f"S begins at {thresholds.FIRST_DRAWS:,} and is doubled",
        f"ln Z are at most {thresholds.SETTLED_SE} nats",
        f"ends after {mixture_evidence.PART:,}, {2 * mixture_evidence.PART:,}, …",
        f"is at least {100 * thresholds.ALIKE_ESS:.1f} %",
        f"most {100 * thresholds.BEYOND:.0f} % of the mass lies",
        f"off by more than {thresholds.KNOWN_OFF} nats and three standard errors",
        f"shown to be more than {100 * thresholds.MISSED_MASS:.0f} %",
        f"is more than {100 * thresholds.SUSPECTED_MASS} % by estimate",
        f"above {100 * thresholds.MISSED_MASS:.0f} %, and three standard errors from none",
        f"at most {100 * thresholds.MISSED_MASS:.0f} % with two standard errors to spare",
        f"Student laws of {thresholds.FREEDOM:.0f} degrees of freedom",
        f"in rounds, at most {thresholds.EVIDENCE_ROUNDS},",
        f"in at most {thresholds.ADDED_MAX_DIM} coordinates",
        f"at least {thresholds.MANY_MODES} different modes",
        f"all but {100 * thresholds.MISSED_MODES:.0f} % of the mass",
        f"at most {thresholds.TRUSTED_KL} nats",
        f"at least {100 * thresholds.TRUSTED_ESS:.0f} %",
        f"move a mean of the corrected draws by more than {thresholds.MEAN_SHOWN} standard",
        f"to be off by more than {100 * thresholds.TRUSTED_SD:.0f} %",
        f"by {thresholds.MEAN_SHOWN} standard deviations",
        f"move a mean by more than {thresholds.MEAN_OFF} standard deviations",
        f"Up to {thresholds.RUNAWAY_MAX_DIM} parameters, "
        f"the {thresholds.RUNAWAY_COORDINATES} with the widest draws",
        f"at most {thresholds.CONVERGED_RHAT} in every parameter",
        f"at least {thresholds.CONVERGED_ESS}, "
        f"and at most {100 * thresholds.CONVERGED_DIVERGENCES:.0f} %",
        f"{defaults.CHAIN_DRAWS} unless they had to be longer",
        {3: "widened three times"}[int(thresholds.WIDENED)],
        {3: "three", 2: "two"}[int(thresholds.KNOWN_SE)] + " standard errors",
    ],
)
def test_every_number_of_the_rule_stands_on_its_page(words):
    assert words in text("docs/verdict.md")


def test_w6_the_readme_states_the_rule_on_khat_with_its_exceptions():
    said = (
        f"a k̂ above {importance.khat_threshold(defaults.DRAWS):g} would reject the fit, for then "
        "rare draws carry weights without a usable variance, unless the effective sample size is "
        f"at least {100 * thresholds.FAINT_ESS:.0f} % and at most {100 * thresholds.BEYOND:.0f} % "
        f"of the mass lies in that tail, or it is at least {100 * thresholds.ALIKE_ESS:.1f} %"
    )
    assert said in text("README.md")


@pytest.mark.parametrize(
    "words",
    [
        f"Beyond {defaults.NEWTON_MAX_DIM} coordinates Newton's method",
        f"its KL is at most `accuracy` ({defaults.ACCURACY} nats)",
        {0.5: "less than half of `accuracy` left to gain"}[defaults.NEARLY_EXACT],
        f"are measured on {defaults.DRAWS:,} draws",
        f"until more than {100 * thresholds.MISSED_MASS:.0f} % of missed mass is shown",
        f"(R̂ ≤ {thresholds.CONVERGED_RHAT}, effective sample sizes ≥ {thresholds.CONVERGED_ESS})",
    ],
)
def test_the_readme_states_the_defaults_of_a_fit(words):
    assert words in text("README.md")
