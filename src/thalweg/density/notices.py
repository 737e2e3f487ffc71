"""What has to be said of a fit that went wrong, or of rows too few to tell how it went."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from thalweg.density.defaults import FEW
from thalweg.density.ensemble.fit import FitSpec
from thalweg.density.ensemble.held_out import Ensembled

WORSE = 0.25  # nats a row by which a flow is worse than a Gaussian before that is warned of


def notices(found: Ensembled, asked: FitSpec, rows: int) -> list[str]:
    """Sentences for a person: a flow that is worse than a Gaussian, rows too few for any."""
    said = []
    if asked.few:
        said.append(
            f"{rows} rows are too few to learn a flow from and to hold some out (that takes {FEW}):"
            " the density is a Gaussian with the wide tails of so few rows, and how good it is "
            "they cannot tell"
        )
    if found.alone is not None:
        flows, normal, error = found.alone
        if not np.isfinite(flows) or flows - normal > max(WORSE, 2 * error):
            of = "rows that were held out" if found.held_out is not None else "rows it learned from"
            how = f"{flows:.4g}" if np.isfinite(flows) else "no finite number of"
            said.append(
                f"the flow is worse than a Gaussian: −ln q of {of} is {how} nats a row under it, "
                f"{normal:.4g} under the Gaussian; {_then(found, asked)}"
            )
    return said


def _then(found: Ensembled, asked: FitSpec) -> str:
    spent = f"learning_rate={asked.learning_rate:g} and steps={asked.steps} did not suit these rows"
    if found.gaussian_weight > 0:
        return f"the Gaussian has {100 * found.gaussian_weight:.1f}% of the density ({spent})"
    return f"nothing takes its place, so do not use this density ({spent})"


def strange_values(
    strange: Mapping[int, np.ndarray], names: tuple[str, ...], kinds: Mapping[int, str]
) -> list[str]:
    """A sentence for each column with values that do not exist under a density."""
    return [
        f"column {names[i]!r} has {int(bad.sum())} values (the first in row {int(np.argmax(bad))}) "
        f"that {kinds[i]}"
        for i, bad in strange.items()
    ]
