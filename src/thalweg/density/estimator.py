"""Job 2: rows in, a normalised density out; an estimator of scikit-learn."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import jax
import numpy as np
from jaxtyping import Float
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from thalweg.argument_checks import check_draws
from thalweg.backend import check_backend
from thalweg.density.arguments import check_parameters
from thalweg.density.defaults import FLOW
from thalweg.density.fitted import FittedDensity, SavedEstimator
from thalweg.density.learning import learn_rows
from thalweg.density.queries import (
    contexts_of,
    draw_rows,
    gone_said,
    log_density_of,
    strange_said,
)
from thalweg.density.rows.row_stream import Rows, RowStream
from thalweg.density.rows.table import (
    as_both,
    as_rows,
    as_table,
    check_names,
    column_names,
    named_or_numbered,
)
from thalweg.density.run_folder import read_estimator, write_estimator
from thalweg.runs import open_folder, reading
from thalweg.training import Progress, as_progress


class DensityEstimator(DensityMixin, BaseEstimator):  # type: ignore[misc]
    """A normalizing flow as a density of rows, in the units of their columns.

    q(x | c) = q₀(f⁻¹(y(x) | c)) |det ∂f⁻¹/∂y| |det ∂y/∂x|, where y(x) standardises the columns and
    takes their correlations away, and f is a flow fitted by maximum likelihood with a part of the
    rows held out; the parameters that do best on these are kept. The training rows are blurred by
    noise, of a size that the held-out rows choose, so that the flow memorises no single rows.

    Parameters
    ----------
    flow : str
        A recipe of `thalweg.flows`; `layers`, `hidden` and further `flow_options` are its options.
        The default has 12 layers of (32, 32) and 4 bins; from 5000 rows, 3 of (128, 128) and 16.
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
        of some step h, or are few. They get uniform noise in [0, h), and x is the cell [x, x + h).
        "auto": where most values repeat and no map is asked for. Densities are then those of cells,
        the mean of ln q within each, which with ln h added is a bound of ln P(x) (of levels on no
        grid, and of two, it is one as it is); where all cells are narrow, ln q in their middle.
        Draws take values that rows had. Unless "none", a value that many rows share beside a
        continuous rest is an atom: it has a probability, the rest a density.
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
        it: of rows that are nearly normal it is much the better density, of others it has almost no
        weight. Given contexts its mean lies on a plane. Of fewer than 10 rows it is all there is.
    steps, batch_size, learning_rate, weight_decay
        The budget; None: by the numbers of rows and columns. A fit ends early when held-out rows
        say so.
    random_state : int, RandomState or None; of the fit, for draws have their own
    verbose : bool

    Attributes
    ----------
    flow_ : the fitted density, of prepared columns; `preparation_` prepares them.
    flow_options_ : the options that the recipe was given; `members_` how many flows are averaged.
    history_ : the training record; `noise_` what was chosen; `gaussian_weight_` what the Gaussian
        has of the mass; `train_nll_`, `valid_nll_` nats a row in the units of the columns: of rows
        that were held out, under members that have not learned them, with what the mean of all is
        better by (None where nothing was held out); `valid_nll_se_` its standard error.
    constant_columns_, discrete_columns_, duplicate_rows_ : what was noticed (repeats are not
        counted in rows that are not all in memory: None).
    repeated_values_ : of columns that are continuous but for one value, such as a limit at which
        numbers were cut: that value, and in which part of the rows it is.
    outlying_rows_ : by column, rows that are not learned as they have a value that outweighs all
        others; a wide density stands for them. `notices_`: what `fit` warned of.
    learned_rows_, held_out_rows_ : which rows of the table were which, to the first two members.
    rows_per_second_ : at which rate rows were learned from, all members together.
    n_features_in_, feature_names_in_ : as in scikit-learn; `context_names_in_` of contexts.

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

    def fit(self, X: Any, y: Any = None, context: Any = None) -> Self:
        """Learn the density of the rows of X (n, d), given those of `context` (n, k) if any.

        Warns of rows whose values outweigh all others, and of a flow worse than a Gaussian. Raises
        `ValueError` that names the parameter or the column for what cannot be learned.
        """
        self.learn(X, context, as_progress(bool(self.verbose)))
        for sentence in self.notices_:
            warnings.warn(sentence, UserWarning, stacklevel=2)
        return self

    def learn(
        self,
        X: Any,
        context: Any,
        progress: Progress,
        *,
        checkpoint: Path | None = None,
        names: Sequence[str] | None = None,
        context_names: Sequence[str] | None = None,
        numbers: np.ndarray | None = None,
        stream: RowStream | None = None,
    ) -> Self:
        """`fit` as runs call it: it goes on from a checkpoint, and warns of nothing.

        `names` are those of the columns of an array, `numbers` those by which its rows are called.
        Where there is a `stream` the columns are prepared as X, its first window, wants it.
        `KeyboardInterrupt` where Ctrl-C ended it.
        """
        check_backend()
        check_parameters(self.get_params(deep=False))
        X, context = as_table(X), as_table(context)
        rows, around, kept = as_both(X, context, self.missing, names)
        self._check_columns(X, rows, reset=True)
        if names is not None:
            self.feature_names_in_ = np.array(names, object)
        given = column_names(context) if context_names is None else context_names
        self.context_names_in_ = None if given is None else list(given)
        check_names(names or column_names(X), rows, "X")
        width = 0 if around is None else around.shape[1]
        fitted, places = learn_rows(
            Rows(rows, around),
            kept if numbers is None else numbers[kept],
            (self.column_names, named_or_numbered(self.context_names_in_, width)),
            self.get_params(deep=False),
            check_random_state(self.random_state),
            progress,
            checkpoint,
            stream,
        )
        self.__dict__.update(fitted.attributes())
        if stream is None:
            self.learned_rows_, self.held_out_rows_ = (kept[part] for part in places)
        return self

    @property
    def column_names(self) -> tuple[str, ...]:
        """A name for every column: x0, x1, … where the table had none."""
        return named_or_numbered(getattr(self, "feature_names_in_", None), self.n_features_in_, "x")

    def score_samples(self, X: Any, context: Any = None) -> Float[np.ndarray, " rows"]:
        """ln q(x) of every row in nats, in the units of the columns.

        −∞ outside a support, so far outside that no number is left, and, with a warning, for values
        that do not exist: off the grid or the levels of a discrete column, another than the only
        one of a constant column. Columns of a `context` go by name where it has names.
        """
        check_is_fitted(self, "flow_")
        X = as_table(X)
        rows, _ = as_rows(X, least=1)
        self._check_columns(X, rows, reset=False)
        for sentence in strange_said(self.preparation_, rows, self.column_names):
            warnings.warn(sentence, UserWarning, stacklevel=2)
        return self.log_density(rows, context)

    def score(self, X: Any, y: Any = None, context: Any = None) -> float:
        """The mean of `score_samples`: nats a row; −∞, with a warning, where that of a row is."""
        found = self.score_samples(X, context)
        for sentence in gone_said(found):
            warnings.warn(sentence, UserWarning, stacklevel=2)
        return float(np.mean(found))

    def sample(
        self, n_samples: int = 1, context: Any = None, random_state: Any = None
    ) -> Float[np.ndarray, "n d"]:
        """Draws in the columns and units of the table, (n_samples, d).

        Of a conditional density one row of `context` serves all draws; several have one draw each,
        and `n_samples` is then their number or 1. Draws are new at every call unless `random_state`
        is a number. Raises `ValueError` for a number of draws that is not positive, and where
        contexts are missing or not as many.
        """
        check_is_fitted(self, "flow_")
        count = check_draws(n_samples)
        given = contexts_of(self.context_preparation_, context, self.context_names_in_)
        check_backend()
        key = jax.random.key(int(check_random_state(random_state).randint(2**31 - 1)))
        return draw_rows(self.flow_, self.preparation_, key, count, given)

    def log_density(
        self, rows: Float[np.ndarray, "rows d"], context: Any = None
    ) -> Float[np.ndarray, " rows"]:
        """`score_samples` of plain rows, finite and in the order of the columns: no names."""
        check_backend()
        given = contexts_of(self.context_preparation_, context, self.context_names_in_)
        return log_density_of(self.flow_, self.preparation_, rows, given)

    def _check_columns(self, X: Any, rows: np.ndarray, *, reset: bool) -> None:
        """Names and number of columns: kept (`reset`), or compared with those that are."""
        table = X if column_names(X) is not None else rows
        validate_data(self, table, reset=reset, skip_check_array=True)

    def to_saved(self) -> SavedEstimator:
        """Return the fitted estimator as plain values, for a run folder."""
        check_is_fitted(self, "flow_")
        names = getattr(self, "feature_names_in_", None)
        return SavedEstimator(
            self.get_params(deep=False),
            FittedDensity.from_attributes(vars(self)),
            self.n_features_in_,
            None if names is None else [str(name) for name in names],
            self.context_names_in_,
        )

    def save(self, path: str | Path) -> None:
        """Write the fitted estimator as a folder, which must be new or empty."""
        saved = self.to_saved()  # before a folder is made
        write_estimator(open_folder(path), saved, {})

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what `save`, or a finished run, left in a folder; `ValueError` for damage."""
        saved = read_estimator(folder)
        with reading(folder):
            made = cls(**saved.parameters)
        made.__dict__.update(saved.fitted.attributes())
        made.n_features_in_, made.context_names_in_ = saved.columns, saved.context_names
        if saved.names is not None:
            made.feature_names_in_ = np.array(saved.names, object)
        return made
