"""Job 2: rows in, a normalised density out; an estimator of scikit-learn."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from jaxtyping import Int
from sklearn.utils.validation import check_random_state

from thalweg.backend import check_backend
from thalweg.compilation_cache import use_compilation_cache
from thalweg.density.arguments import check_parameters
from thalweg.density.defaults import FLOW, VALID_FRACTION
from thalweg.density.fitted_estimator import FittedEstimator
from thalweg.density.learning import learn_rows
from thalweg.density.rows import table
from thalweg.density.rows.row_stream import Rows, RowStream
from thalweg.progress import Progress, showing
from thalweg.training import TimeLimit
from thalweg.training.effort import STANDARD


class DensityEstimator(FittedEstimator):
    """A normalizing flow as a density of rows, in the units of their columns.

    q(x | c) = q₀(f⁻¹(y(x) | c)) |det ∂f⁻¹/∂y| |det ∂y/∂x|, where y(x) standardises the columns and
    takes their correlations away, and f is a flow fitted by maximum likelihood with early stopping
    on held-out rows. Noise on the training rows, of a size that the held-out rows choose, keeps the
    flow from memorising single rows.

    Rezende & Mohamed (2015); Papamakarios et al. (2021); noise: Rothfuss et al. (2019).

    Args:
        flow: a recipe of `thalweg.flows`; the default has 3 to 6 layers of (32, 32) and 4 bins;
            from 5000 rows, 3 of (128, 128) and 16. One column without contexts gets a monotone
            spline without a network, unless something about a flow is asked for.
        layers, hidden, flow_options: options of the recipe.
        base: "student_t" (its degrees of freedom are learned; a row far outside is not impossible)
            or "recipe" for that of the recipe; None: Student t for the default flow.
        members: how many flows, with different starts, are averaged as densities. One is faster,
            with a larger error. None: 8 for fewer than 5000 rows and at most 200,000 numbers to
            learn from, 4 for more columns, and 2 for more rows.
        marginals: maps of columns to the line before anything else, one for all or by name:
            "identity", "positive" (or ("positive", a)), ("interval", a, b), "heavy" (asinh).
        discrete: columns of counts, levels or rounded numbers: "auto" (columns without a map most
            of whose values repeat), "none" or names. Values on a grid of step h get uniform noise
            in [0, h), and ln q is its mean in the cell [x, x + h), a lower bound of ln P(x) − ln h;
            for levels on no grid, or two, it bounds ln P(x); in narrow cells it is that of the
            middle. Draws take values that rows had. Unless "none", a value that many rows share
            beside a continuous rest is an atom: it has a probability, the rest a density.
        whiten: whether correlations are taken away.
        missing: "error" or "drop", for rows with values that are not finite, in `fit`.
        noise: standard deviation of the noise on training rows, in columns of variance 1; None:
            two sizes, each of half of the members, weighted by held-out rows.
        gaussian: whether a Gaussian, a mixture of Gaussians and a kernel density of the same rows
            are mixed in, with weights that held-out rows choose; given contexts only a Gaussian,
            whose mean is linear in them. Fewer than 10 rows get it alone. A kernel density keeps
            training rows: who has the model has them.
        valid_fraction: the fraction of rows held out (none of fewer than 10, at most 10,000). With
            fewer than 5000 rows each two members hold out others, up to four times as many.
        steps, batch_size, learning_rate: the budget; None: by the numbers of rows and columns. A
            fit ends earlier when the held-out score no longer improves.
        weight_decay: of the optimiser.
        time_limit: seconds after which `fit` ends training with the best so far, its schedule
            fitted into that time; averaging and scoring come on top. The result then depends on the
            speed of the machine. None for no limit.
        effort: "quick", "standard" or "best": a quarter of the steps and half of the members, all,
            or four times the steps and twice the members, where these are None.
        random_state: an int, a RandomState or None, for `fit`; draws have their own.
        verbose: whether progress is shown: on a terminal by a line that moves, elsewhere by plain
            lines on stderr.

    Attributes:
        flow_: the fitted density, of columns prepared by `preparation_`; `context_preparation_`
            prepares contexts.
        flow_options_, members_, noise_, seed_: what was chosen.
        weights_: the weights of flows and simpler densities, by name; `gaussian_weight_` that of
            the Gaussian.
        train_nll_, valid_nll_: −ln q in nats a row, in the units of the columns. Held-out rows are
            scored by members not trained on them, plus the gain from averaging all; None without
            held-out rows. `valid_nll_se_` is its standard error.
        history_: the training record; `n_steps_` the steps; `rows_per_second_` the training rate of
            all members together.
        constant_columns_, discrete_columns_: their names.
        duplicate_rows_: how many rows repeat others; None for a table larger than memory.
        repeated_values_: for continuous columns with one repeated value, such as a limit at which
            numbers were cut: the value and the fraction of rows that have it.
        outlying_rows_: by column, rows left out of training because a value outweighs all others;
            a wide density represents them.
        notices_: the warnings of `fit`; `interrupted_` whether Ctrl-C ended it, `out_of_time_`
            whether the time limit did.
        learned_rows_, held_out_rows_: indices of the rows of the first two members.
        n_features_in_, feature_names_in_, context_names_in_: as in scikit-learn.

    Example:
        >>> import numpy as np
        >>> import thalweg as tw
        >>> X = np.random.default_rng(0).normal(size=(60, 2))
        >>> q = tw.DensityEstimator("mean_field", members=1, steps=30, noise=0, random_state=0)
        >>> q.fit(X).score_samples(X).shape
        (60,)
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
        valid_fraction: float = VALID_FRACTION,
        steps: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        weight_decay: float = 0.0,
        time_limit: float | None = None,
        effort: str = STANDARD,
        random_state: Any = None,
        verbose: bool = False,
    ):
        parameters = {**locals()}
        del parameters["self"]
        self.__dict__.update(parameters)  # unchanged, as scikit-learn requires

    def fit(self, X: Any, y: Any = None, context: Any = None) -> Self:
        """Fit the density of the rows of X, given those of `context` if any.

        Warns of rows whose values outweigh all others, of a flow worse than a Gaussian, and of a
        fit that Ctrl-C ended: the density is then what was learned until there.

        Args:
            X: a table or array (n, d).
            y: ignored.
            context: a table or array (n, k) of conditioning columns.

        Returns:
            The estimator itself.

        Raises:
            ValueError: a parameter or a column is unusable; the sentence names it.

        Example:
            >>> import numpy as np
            >>> import thalweg as tw
            >>> X = np.random.default_rng(0).normal(size=(60, 2))
            >>> q = tw.DensityEstimator("mean_field", members=1, steps=30, noise=0, random_state=0)
            >>> q.fit(X).score_samples(X).shape
            (60,)
        """
        with showing(bool(self.verbose)) as progress:
            self.learn(X, context, progress)
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
        numbers: Int[np.ndarray, " rows"] | None = None,
        stream: RowStream | None = None,
    ) -> Self:
        """Fit as runs do: from a checkpoint if there is one, and without warnings.

        Args:
            X: as in `fit`; of a `stream`, its first window, which decides the preparation.
            context: as in `fit`, or None.
            progress: called after every chunk of steps.
            checkpoint: a file that the fit is resumed from; Ctrl-C then raises.
            names: of the columns of an array.
            context_names: of the columns of an array of contexts.
            numbers: of the rows, for messages.
            stream: training rows of a table larger than memory.

        Returns:
            The estimator itself.

        Raises:
            ValueError: as in `fit`.
            KeyboardInterrupt: Ctrl-C ended a fit that has a checkpoint.

        Example:
            >>> import numpy as np
            >>> import thalweg as tw
            >>> from thalweg.training import Silent
            >>> X = np.random.default_rng(0).normal(size=(60, 2))
            >>> q = tw.DensityEstimator("mean_field", members=1, steps=30, noise=0, random_state=0)
            >>> q.learn(X, None, Silent(), names=("a", "b")).column_names
            ('a', 'b')
        """
        check_backend()
        use_compilation_cache()
        check_parameters(self.get_params(deep=False))
        limit = TimeLimit(self.time_limit)
        X, context = table.as_table(X), table.as_table(context)
        rows, contexts, kept = table.as_rows_and_contexts(X, context, self.missing, names)
        self._check_columns(X, rows, reset=True)
        if names is not None:
            self.feature_names_in_ = np.array(names, object)
        given = table.column_names(context) if context_names is None else context_names
        self.context_names_in_ = None if given is None else list(given)
        table.check_names(names or table.column_names(X), rows, "X")
        width = 0 if contexts is None else contexts.shape[1]
        fitted, places = learn_rows(
            Rows(rows, contexts),
            kept if numbers is None else numbers[kept],
            (self.column_names, table.named_or_numbered(self.context_names_in_, width)),
            self.get_params(deep=False),
            check_random_state(self.random_state),
            progress,
            checkpoint,
            stream,
            limit,
        )
        self.__dict__.update(fitted.attributes())
        if stream is None:
            self.learned_rows_, self.held_out_rows_ = (kept[part] for part in places)
        return self
