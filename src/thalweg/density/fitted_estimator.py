"""A fitted density of rows as scikit-learn knows it: scores, draws, and its folder."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Self

import jax
import numpy as np
from jaxtyping import Float
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from thalweg.argument_checks import check_draws
from thalweg.backend import check_backend
from thalweg.density import queries
from thalweg.density.fitted import FittedDensity, SavedEstimator
from thalweg.density.rows.table import as_rows, as_table, column_names, named_or_numbered
from thalweg.density.run_folder import read_estimator, write_estimator
from thalweg.runs import open_folder, reading


class FittedEstimator(DensityMixin, BaseEstimator):  # type: ignore[misc]
    """The queries of a `DensityEstimator`: they need a fit."""

    @property
    def column_names(self) -> tuple[str, ...]:
        """The name of every column: x0, x1, … where the table had none."""
        return named_or_numbered(getattr(self, "feature_names_in_", None), self.n_features_in_, "x")

    def score_samples(self, X: Any, context: Any = None) -> Float[np.ndarray, " rows"]:
        """Return ln q(x) of every row in nats, in the units of the columns.

        It is −∞ outside a support, where numbers overflow, and, with a warning, between counts or
        levels and off the value of a constant column. A number off the grid of a column that was
        rounded in all n rows of the fit has the density of its cell times 1/(2n + 2).

        Args:
            X: a table or array (n, d).
            context: a table or array (n, k); its columns go by name where it has names.

        Returns:
            ln q, (n,).

        Raises:
            ValueError: other columns than those of the fit, or values that are not finite.

        Example:
            >>> import numpy as np
            >>> import thalweg as tw
            >>> X = np.random.default_rng(0).normal(size=(60, 2))
            >>> q = tw.DensityEstimator("mean_field", members=1, steps=30, noise=0, random_state=0)
            >>> q = q.fit(X)
            >>> middle, far = q.score_samples([[0.0, 0.0], [9.0, 9.0]])
            >>> bool(middle > far)
            True
        """
        check_is_fitted(self, "flow_")
        X = as_table(X)
        rows, _ = as_rows(X, least=1)
        self._check_columns(X, rows, reset=False)
        for sentence in queries.describe_impossible(self.preparation_, rows, self.column_names):
            warnings.warn(sentence, UserWarning, stacklevel=2)
        return self.log_density(rows, context)

    def score(self, X: Any, y: Any = None, context: Any = None) -> float:
        """Return the mean of `score_samples`; −∞, with a warning, where that of a row is.

        Args:
            X: a table or array (n, d).
            y: ignored.
            context: a table or array (n, k).

        Returns:
            ln q in nats a row.

        Raises:
            ValueError: as in `score_samples`.

        Example:
            >>> import numpy as np
            >>> import thalweg as tw
            >>> X = np.random.default_rng(0).normal(size=(60, 2))
            >>> q = tw.DensityEstimator("mean_field", members=1, steps=30, noise=0, random_state=0)
            >>> q = q.fit(X)
            >>> bool(q.score(X) == np.mean(q.score_samples(X)))
            True
        """
        found = self.score_samples(X, context)
        if (gone := np.flatnonzero(found == -np.inf)).size:
            sentence = (
                f"{gone.size} of {len(found)} rows have density 0, the first of them row {gone[0]}:"
                " the mean log density is −inf"
            )
            warnings.warn(sentence, UserWarning, stacklevel=2)
        return float(np.mean(found))

    def sample(
        self, n_samples: int = 1, context: Any = None, random_state: Any = None
    ) -> Float[np.ndarray, "n d"]:
        """Draw rows in the columns and units of the table.

        Args:
            n_samples: the number of draws; 1 also stands for one draw for each context.
            context: one row (1, k) for all draws, or one for each draw.
            random_state: an int repeats the draws; None or a RandomState makes new ones.

        Returns:
            Draws, (n_samples, d).

        Raises:
            ValueError: `n_samples` is not positive, or contexts are missing or not as many.

        Example:
            >>> import numpy as np
            >>> import thalweg as tw
            >>> X = np.random.default_rng(0).normal(size=(60, 2))
            >>> q = tw.DensityEstimator("mean_field", members=1, steps=30, noise=0, random_state=0)
            >>> q = q.fit(X)
            >>> q.sample(5, random_state=0).shape
            (5, 2)
        """
        check_is_fitted(self, "flow_")
        count = check_draws(n_samples)
        given = queries.prepare_contexts(self.context_preparation_, context, self.context_names_in_)
        check_backend()
        key = jax.random.key(int(check_random_state(random_state).randint(2**31 - 1)))
        return queries.draw_rows(self.flow_, self.preparation_, key, count, given)

    def log_density(
        self, rows: Float[np.ndarray, "rows d"], context: Any = None
    ) -> Float[np.ndarray, " rows"]:
        """Return ln q of finite rows in the order of the columns, as runs do: without warnings.

        Args:
            rows: an array (n, d).
            context: a table or array (n, k).

        Returns:
            ln q in nats, (n,).

        Raises:
            ValueError: contexts are missing, not wanted, or not as many as rows.
        """
        check_backend()
        given = queries.prepare_contexts(self.context_preparation_, context, self.context_names_in_)
        return queries.row_log_density(self.flow_, self.preparation_, rows, given)

    def _check_columns(self, X: Any, rows: Float[np.ndarray, "n d"], *, reset: bool) -> None:
        """Keep the names and number of columns (`reset`), or compare them with those of the fit."""
        table = X if column_names(X) is not None else rows
        validate_data(self, table, reset=reset, skip_check_array=True)

    def to_saved(self) -> SavedEstimator:
        """Return the fitted estimator as plain values, for a run folder.

        Returns:
            Parameters, fitted density and columns.
        """
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
        """Write the fitted estimator as a folder.

        Args:
            path: a folder that is new or empty.

        Returns:
            Nothing.

        Raises:
            ValueError: the folder holds other files.

        Example:
            >>> import tempfile
            >>> import numpy as np
            >>> import thalweg as tw
            >>> X = np.random.default_rng(0).normal(size=(60, 2))
            >>> q = tw.DensityEstimator("mean_field", members=1, steps=30, noise=0, random_state=0)
            >>> q = q.fit(X)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     q.save(folder)
            ...     same = tw.DensityEstimator.load(folder)
            >>> same.score(X) == q.score(X)
            True
        """
        saved = self.to_saved()  # before a folder is made
        write_estimator(open_folder(path), saved, {})

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read an estimator from a folder that `save` or a finished run wrote.

        Args:
            folder: the folder.

        Returns:
            The fitted estimator.

        Raises:
            ValueError: the folder is damaged, unfinished, or of another job.

        Example:
            See `save`.
        """
        saved = read_estimator(folder)
        with reading(folder):
            made = cls(**saved.parameters)
        made.__dict__.update(saved.fitted.attributes())
        made.n_features_in_, made.context_names_in_ = saved.columns, saved.context_names
        if saved.names is not None:
            made.feature_names_in_ = np.array(saved.names, object)
        return made
