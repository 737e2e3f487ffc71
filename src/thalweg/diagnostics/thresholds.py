"""Every number that the verdict on a fit depends on; `docs/verdict.md` explains them."""

from __future__ import annotations

# --- reject ---------------------------------------------------------------------------------------
MISSED_MASS = 0.05  # of all mass: what may be missing
SHOWN_SE = 3.0  # standard errors from 0 at which missing mass counts as shown
EXCLUDED_SE = 2.0  # standard errors that still fit below `MISSED_MASS` where it is excluded
SUSPECTED_MASS = 0.025  # by an estimate that is not settled: corrected draws are too much to ask
MISSED_MODES = 0.1  # of the mass, by the modes that were found
KNOWN_OFF, KNOWN_SE = 0.05, 3.0  # nats, and standard errors, that a known ln Z may be off by
LEAST_ESS = 0.05  # of the draws: below, corrected means and ln Z are too noisy to be used
MEAN_SHOWN = 0.08  # standard deviations beyond doubt; the rest of `MEAN_OFF` is for users' noise
ROUNDING_SPOILS = 0.05  # nats of rounding from which no fit can be trusted

# --- a tail of the weights that does not matter ---------------------------------------------------
FAINT_ESS = 0.9  # from here on the tail of the weights may be too faint to matter
BEYOND = 0.01  # of all mass, where the Pareto law of the tail expects less than one draw
ALIKE_ESS = 0.999  # weights that differ by so little that their tail has no shape to speak of

# --- draws where values are dear ------------------------------------------------------------------
FIRST_DRAWS = 1024  # that a verdict is stated by, at least; doubled while more would tell more
SETTLED_SE = 0.002  # nats: errors of ELBO and ln Z at which they would not

# --- trust ----------------------------------------------------------------------------------------
TRUSTED_KL = 0.05  # nats
TRUSTED_ESS = 0.75
MEAN_OFF = 0.1  # standard deviations that a mean may be off by
TRUSTED_SD = 0.1  # relative error of a standard deviation
DIVERGED = 1.0  # nats below the Gaussian it began as: a flow there has learned nothing

# --- modes that a search found --------------------------------------------------------------------
MANY_MODES = 8  # and more than half of all paths: there are more than it found

# --- evidence with draws from everywhere ----------------------------------------------------------
EVIDENCE_ROUNDS = 16  # of draws, at most
WIDENED = 3.0  # times the scales of the fits, for laws with wide tails
FREEDOM = 4.0  # degrees, of these Student laws
ADDED_MAX_DIM = 16  # coordinates in which neighbours show the shape of a new component

# --- faults of the target -------------------------------------------------------------------------
RUNAWAY_MAX_DIM = 64  # the curvature of all other coordinates is computed at every distance
RUNAWAY_COORDINATES = 16  # at most so many are followed, those with the widest draws

# --- chains ---------------------------------------------------------------------------------------
CONVERGED_RHAT = 1.01  # Vehtari et al. (2021)
CONVERGED_ESS = 400
CONVERGED_DIVERGENCES = 0.01  # of the moves

# --- precision ------------------------------------------------------------------------------------
ROUNDING_MATTERS = 0.01  # nats: root mean square of what rounding adds to values, less its mean
ROUNDING_SHIFTS = 0.02  # nats: that mean, which is an error of ln Z
ROUNDING_STEERS = 0.05  # standard deviations of a score: root mean square of what gradients gain
