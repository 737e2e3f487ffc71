"""What is wrong with a target itself where its fit is rejected: no better fit would mend that."""

from __future__ import annotations

from thalweg.diagnostics.draws import Draws
from thalweg.inference.runaway import find_runaways, runaway_sentence
from thalweg.inference.steps import find_steps, steps_sentence
from thalweg.targets.target import Target


def faults(target: Target, draws: Draws) -> list[str]:
    """Sentences: that it is improper and along which parameter, that it has steps and along which.

    Found from draws of the rejected flow, so what they say of the target needs no good fit.
    """
    found = []
    runaways = find_runaways(target.log_density, draws)
    if runaways:
        found.append(runaway_sentence(runaways, target.parameter_names, target.parameters))
    flat, jumping = find_steps(target.log_density, draws)
    if flat or jumping:
        found.append(steps_sentence(flat, jumping, target.parameter_names))
    return found
