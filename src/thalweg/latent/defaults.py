"""Default numbers of an evaluation; those of a model are in `thalweg.latent.options`."""

from __future__ import annotations

DRAWS = 5000  # for ln p(x) of each row
BOUND_DRAWS = 100  # for the bound of each row
GAP_STEPS, GAP_RATE, GAP_DRAWS = 3000, 0.02, 8  # of the fit of a normal to one row's posterior
