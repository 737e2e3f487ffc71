"""Job 2: rows in, a normalised density out; an estimator of scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from thalweg.density.blocks import log_densities
from thalweg.density.defaults import FLOW, base_of, budget, flow_options, folds_of, members_of
from thalweg.density.fit import Asked, fit
from thalweg.density.folds import TOGETHER, Fold, Points, fold_of, parted, points
from thalweg.density.preparation import Preparation, prepare
from thalweg.density.supply import Part, Supply, apart
from thalweg.density.table import as_rows, column_names
from thalweg.distributions import Distribution
from thalweg.flows.recipe import check_widths
from thalweg.targets.options import whole
from thalweg.training import Progress, teller
from thalweg.tree import default_float

FEW = 10  # rows below which none are held out
MOST_HELD_OUT = 10_000  # rows that judge while others are learned
MOST_JUDGED = 50_000  # learned rows behind the number that is said of them


class DensityEstimator(DensityMixin, BaseEstimator):  # type: ignore[misc]
    """A normalizing flow as a density of rows, in the units of their columns.

    q(x | c) = q₀(f⁻¹(y(x) | c)) |det ∂f⁻¹/∂y| |det ∂y/∂x|, where y(x) standardises the columns and
    takes their correlations away, and f is a flow fitted by maximum likelihood with a part of the
    rows held out; the parameters that do best on these are kept. The training rows are blurred by
    noise, of a size that the held-out rows choose, so that single rows are not learned by heart.

    Parameters
    ----------
    flow : str
        A recipe of `thalweg.flows`; `layers`, `hidden` and further `flow_options` are its options.
        The default has 12 layers of (32, 32) and 4 bins, of 5000 rows and more 3 of (128, 128) and
        16 bins.
    base : "student_t", "recipe" or None
        The density that the flow starts from: coordinates of a Student t, whose degrees of freedom
        are learned and which does not take a row far outside for impossible, or what the recipe
        has. None: Student t for the flow that is the default.
    members : int or None
        How many flows, from different starts, are averaged: as densities, not as logarithms. One is
        faster to ask, and further from the truth. None: 4; 8 of fewer than 5000 rows and at most
        200,000 numbers to learn from, and 16 of at most 10,000.
    marginals : str or dict
        Maps of columns to the line before anything else: for all of them or by name "identity",
        "positive" (or ("positive", a)), ("interval", a, b), "heavy" (asinh, for long tails).
    discrete : "auto", "none" or a list of names
        Columns of counts, levels, or numbers that were rounded: those whose values lie on a grid
        of some step h. They get uniform noise in [0, h), and x is the cell [x, x + h). "auto":
        where most values repeat and no map is asked for. Densities are then those of cells, the
        mean of ln q within each, which with ln h added is a bound of ln P(x); where all cells are
        narrow, ln q in their middle.
    whiten : bool
        Whether correlations are taken away.
    missing : "error" or "drop"
        What to do with rows that have values which are not finite, in `fit`.
    noise : float or None
        Standard deviation of the noise on training rows, of columns that have variance 1; None:
        chosen among none and two sizes by the rows that are held out.
    valid_fraction : float
        The part of the rows that is held out (none of fewer than 10, and at most 10,000). Of fewer
        than 5000 rows every two members hold out others, up to four times as many together.
    gaussian : bool
        Whether a Gaussian of the same rows joins the flows, with the weight that held-out rows give
        it (where there are some, and no contexts): of rows that are nearly normal it is much the
        better density, of others it has almost no weight.
    steps, batch_size, learning_rate, weight_decay
        The budget; None: by the numbers of rows and columns. A fit ends early when held-out rows
        say so.
    random_state : int, RandomState or None
    verbose : bool

    Attributes
    ----------
    flow_ : the fitted density, of prepared columns; `preparation_` prepares them.
    flow_options_ : the options that the recipe was given; `members_` how many flows are averaged.
    history_ : the training record; `noise_` what was chosen; `gaussian_weight_` what the Gaussian
        has of the mass; `train_nll_`, `valid_nll_` nats a row in the units of the columns: of rows
        that were held out, under members that have not learned them, with what the mean of all is
        better by (None where nothing was held out).
    constant_columns_, discrete_columns_, duplicate_rows_ : what was noticed (repeats are not
        counted in rows that are not all in memory: None).
    repeated_values_ : of columns that are continuous but for one value, such as a limit at which
        numbers were cut: that value, and in which part of the rows it is.
    learned_rows_, held_out_rows_ : which rows of the table were which, to the first two members.
    rows_per_second_ : at which rate rows were learned from, all members together.
    n_features_in_, feature_names_in_ : as everywhere in scikit-learn.

    Rezende & Mohamed (2015); Papamakarios et al. (2021); noise: Rothfuss et al. (2019).
    """

    def __init__(
        self,
        flow: str = FLOW,
        *,
        layers: int | None = None,
        hidden: Sequence[int] | None = None,
        flow_options: Mapping[str, Any] | None = None,
        base: str | None = None,
        members: int | None = None,
        marginals: str | tuple[Any, ...] | Mapping[str, Any] = "identity",
        discrete: str | Sequence[str] = "auto",
        whiten: bool = True,
        missing: str = "error",
        noise: float | None = None,
        gaussian: bool = True,
        valid_fraction: float = 0.1,
        steps: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        weight_decay: float = 0.0,
        random_state: Any = None,
        verbose: bool = False,
    ):
        self.flow = flow
        self.layers = layers
        self.hidden = hidden
        self.flow_options = flow_options
        self.base = base
        self.members = members
        self.marginals = marginals
        self.discrete = discrete
        self.whiten = whiten
        self.missing = missing
        self.noise = noise
        self.gaussian = gaussian
        self.valid_fraction = valid_fraction
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.random_state = random_state
        self.verbose = verbose

    # --- learning --------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None, context: Any = None) -> Self:
        """Learn the density of the rows of X (n, d), given those of `context` (n, k) if any.

        Raises `ValueError` in one sentence that names the column for what cannot be learned.
        """
        return self.learn(X, context, teller(bool(self.verbose)))

    def learn(
        self,
        X: Any,
        context: Any,
        progress: Progress,
        *,
        checkpoint: Path | None = None,
        names: Sequence[str] | None = None,
        supply: Supply | None = None,
    ) -> Self:
        """`fit` as runs call it: it goes on from a checkpoint.

        `names` are those of the columns of an array. Where there is a `supply` the columns are
        prepared as X, its first window, wants it. `KeyboardInterrupt` where Ctrl-C ended it.
        """
        rows, kept = as_rows(X, missing=self.missing, names=names)
        around = self._given(X, context, kept)
        self._check_columns(X, rows, reset=True)
        if names is not None:
            self.feature_names_in_ = np.array(names, object)
        random = check_random_state(self.random_state)
        every, width = Part(rows, around), rows.shape[1]
        if supply is None:
            parts = self._parted(len(rows), random)
            learned, held_out = (every.take(places) for places in parts[0])
            self.learned_rows_, self.held_out_rows_ = (kept[places] for places in parts[0])
        else:
            parts, learned, held_out = [], every, apart(supply.held_out, width)
        self._prepare(rows, around, supply, parts[0][0] if parts else None)
        asked = self._asked(len(learned.rows))
        self.flow_options_, self.members_ = asked.options, asked.members
        folds = [self._fold(self.preparation_, learned, held_out)]
        for inside, outside in parts[1 : -(-asked.members // TOGETHER)]:
            ready = self._prepared(rows, inside)
            folds.append(self._fold(ready, every.take(inside), every.take(outside)))
        result = fit(
            folds,
            asked,
            jax.random.key(int(random.randint(2**31 - 1))),
            progress,
            checkpoint,
            None if supply is None else lambda k: self._points(apart(supply.window(k), width)),
        )
        if result.interrupted:
            raise KeyboardInterrupt
        self.flow_: Distribution = result.found.density
        self.history_, self.noise_ = result.history, result.noise
        self.gaussian_weight_ = result.found.gaussian_weight
        self.n_steps_, self.rows_per_second_ = result.steps, result.rows_per_second
        self.seed_ = int(random.randint(2**31 - 1))
        some = learned.take(np.s_[:MOST_JUDGED])
        self.train_nll_ = -float(np.mean(self.log_density(some.rows, some.context)))
        self.valid_nll_ = result.found.held_out
        return self

    def _prepare(
        self,
        rows: np.ndarray,
        around: np.ndarray | None,
        supply: Supply | None,
        inside: np.ndarray | None,
    ) -> None:
        """What is to be done to columns, and what is noticed of them."""
        names = self.column_names
        self.preparation_: Preparation = self._prepared(rows, inside)
        self.context_preparation_ = None
        if around is not None:
            called = tuple(f"context {i}" for i in range(around.shape[1]))
            self.context_preparation_ = prepare(around, called, "identity", "none", whiten=False)
        ready = self.preparation_
        self.constant_columns_ = [names[i] for i in ready.constant]
        self.discrete_columns_ = [names[i] for i in ready.grids]
        self.repeated_values_ = {names[i]: found for i, found in ready.repeated(rows).items()}
        self.duplicate_rows_: int | None = None  # a part of the rows cannot tell
        if supply is None:
            self.duplicate_rows_ = len(rows) - len(np.unique(rows, axis=0))
        else:
            ready.check(supply.extremes[:, : len(names)], names)

    def _prepared(self, rows: np.ndarray, inside: np.ndarray | None) -> Preparation:
        names, whiten = self.column_names, bool(self.whiten)
        return prepare(rows, names, self.marginals, self.discrete, whiten=whiten, learned=inside)

    def _points(self, part: Part) -> Points:
        return points(self.preparation_, self.context_preparation_, part)

    def _fold(self, ready: Preparation, learned: Part, held_out: Part) -> Fold:
        return fold_of(ready, self.preparation_, self.context_preparation_, learned, held_out)

    def _asked(self, rows: int) -> Asked:
        usual = budget(rows, self.preparation_.dim)
        options = {
            **flow_options(self.flow, rows, self.preparation_.dim),
            **(self.flow_options or {}),
        }
        if self.layers is not None:
            options["layers"] = self.layers
        if self.hidden is not None:
            options["hidden"] = check_widths(self.hidden)
        usual_members = members_of(rows, self.preparation_.dim)
        return Asked(
            self.flow,
            options,
            base_of(self.flow, self.base),
            usual_members if self.members is None else whole("members", self.members),
            usual.steps if self.steps is None else self.steps,
            usual.batch_size if self.batch_size is None else self.batch_size,
            usual.learning_rate if self.learning_rate is None else self.learning_rate,
            self.weight_decay,
            self.noise,
            bool(self.gaussian),
        )

    def _parted(self, count: int, random: Any) -> list[tuple[np.ndarray, np.ndarray]]:
        """Places of learned and held-out rows of each fold."""
        if not 0 <= self.valid_fraction < 1:
            raise ValueError(f"valid_fraction must be in [0, 1), got {self.valid_fraction!r}")
        held = min(MOST_HELD_OUT, round(self.valid_fraction * count)) if count >= FEW else 0
        if count - held < 2:
            raise ValueError(
                f"valid_fraction={self.valid_fraction} of {count} rows leaves too few to learn from"
            )
        return parted(count, held, folds_of(count), random)

    @property
    def column_names(self) -> tuple[str, ...]:
        """A name for every column: x0, x1, … where the table had none."""
        names = getattr(self, "feature_names_in_", None)
        if names is None:
            return tuple(f"x{i}" for i in range(self.n_features_in_))
        return tuple(str(name) for name in names)

    def _given(self, X: Any, context: Any, kept: np.ndarray) -> np.ndarray | None:
        if context is None:
            return None
        rows, _ = as_rows(context, "context")
        count = getattr(X, "shape", (len(X),))[0]
        if len(rows) != count:
            raise ValueError(f"{count} rows of X need as many of context, got {len(rows)}")
        return rows[kept]

    # --- asking ----------------------------------------------------------------------------------

    def score_samples(self, X: Any, context: Any = None) -> Float[np.ndarray, " rows"]:
        """ln q(x) of every row in nats, in the units of the columns; −∞ outside a support."""
        check_is_fitted(self, "flow_")
        rows, _ = as_rows(X, least=1)
        self._check_columns(X, rows, reset=False)
        return self.log_density(
            rows, None if context is None else as_rows(context, "context", least=1)[0]
        )

    def score(self, X: Any, y: Any = None, context: Any = None) -> float:
        """The mean of `score_samples`: nats a row."""
        return float(np.mean(self.score_samples(X, context)))

    def sample(
        self, n_samples: int = 1, context: Any = None, random_state: Any = None
    ) -> Float[np.ndarray, "n d"]:
        """`n_samples` draws in the columns and units of the table; one for each row of `context`
        where the density is conditional.

        `random_state` is that of the fit unless it is given. Raises `ValueError` for a number of
        draws that is not positive, and where a context is missing.
        """
        check_is_fitted(self, "flow_")
        given = self._contexts(context, n_samples if context is None else None)
        count = whole("the number of draws", n_samples) if given is None else len(given)
        seed = (
            self.seed_
            if random_state is None
            else check_random_state(random_state).randint(2**31 - 1)
        )
        key = jax.random.key(int(seed))
        shape = (count,) if given is None else ()
        on_device = None if given is None else jnp.asarray(given, default_float())
        drawn = np.asarray(self.flow_.sample(key, shape, on_device), np.float64)
        return self.preparation_.from_flow(drawn)

    def log_density(
        self, rows: Float[np.ndarray, "rows d"], context: np.ndarray | None = None
    ) -> Float[np.ndarray, " rows"]:
        """`score_samples` of plain rows, finite and in the order of the columns: no names."""
        ready = self.preparation_
        given = self._contexts(context, len(rows))
        places, total = ready.within, np.zeros(len(rows))
        for u in places:
            y, log_det = ready.to_flow(ready.dequantised(rows, u[None]))
            total += log_det + log_densities(self.flow_, y, given)
        return total / len(places)

    def _contexts(self, context: Any, count: int | None) -> np.ndarray | None:
        """Contexts as the flow takes them; `count` rows are needed (None: as many as there are)."""
        ready = self.context_preparation_
        if ready is None:
            if context is not None:
                raise ValueError("this density was fitted without a context, and got one")
            return None
        if context is None:
            raise ValueError("this density was fitted with a context: pass context=...")
        rows, _ = as_rows(context, "context", least=1)
        if rows.shape[1] != len(ready.marginals):
            raise ValueError(
                f"contexts have {len(ready.marginals)} columns here, got {rows.shape[1]}"
            )
        if count is not None and len(rows) != count:
            raise ValueError(f"{count} rows of X need as many of context, got {len(rows)}")
        return ready.to_flow(rows)[0]

    def _check_columns(self, X: Any, rows: np.ndarray, *, reset: bool) -> None:
        """Names and number of columns: kept (`reset`), or compared with those that are."""
        table = X if column_names(X) is not None else rows
        validate_data(self, table, reset=reset, skip_check_array=True)

    def save(self, path: str | Path) -> None:
        """Write the fitted estimator as a folder, which must be new or empty."""
        from thalweg.density.run_folder import save_estimator

        save_estimator(path, self)
