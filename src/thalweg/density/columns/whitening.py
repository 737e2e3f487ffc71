"""The Cholesky factor of a covariance, computed from the rows.

A conditional standard deviation is then right to the last digits, where a covariance matrix would
have lost half of them.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from sklearn.covariance import ledoit_wolf_shrinkage

LEFT = 1e-12  # of a column's deviation: less is rounding of the factor
MOST = 1e-3  # of a column's deviation: more is never called rounding
ROUNDINGS = 50.0  # roundings of a column's values: less is rounding of the data

FEW = 50  # rows below which correlations are mostly chance, however few columns

RowArray = Float[np.ndarray, "rows d"]


def covariance_factor(
    t: RowArray, widths: Float[np.ndarray, " d"], *, whiten: bool, shrink: bool = True
) -> Float[np.ndarray, "d d"]:
    """Return the Cholesky factor of the covariance, with the noise of discrete columns in it.

    It is the triangle of a QR decomposition of the rows stacked on those of the noise. Correlations
    of few rows are mostly chance: with `shrink` they are shrunk (Ledoit & Wolf 2004), and two rows,
    whose correlation is always ±1, get none.
    """
    count, dim = t.shape
    scale = np.sqrt(t.var(0) + widths**2 / 12)
    if not whiten:
        return np.diag(scale)
    standard = (t - t.mean(0)) / scale
    kept = 1.0
    if shrink and dim > 1 and (count <= 2 * dim or count < FEW):
        kept = min(1 - ledoit_wolf_shrinkage(standard), 1 - 2 / count)
    stacked = np.concatenate(
        [
            np.sqrt(kept / count) * standard,
            np.sqrt(kept / 12) * np.diag(widths / scale),
            np.sqrt(1 - kept) * np.eye(dim),
        ]
    )
    triangle = np.linalg.qr(stacked, mode="r")
    signs = np.where(np.diagonal(triangle) < 0, -1.0, 1.0)
    return np.asarray(scale[:, None] * (signs[:, None] * triangle).T)


def rounding_shares(t: RowArray) -> Float[np.ndarray, " d"]:
    """Return the share of each column's deviation that may be rounding, of it or those before it.

    Numbers that single precision holds exactly are taken to have been rounded to it.
    """
    with np.errstate(over="ignore"):
        single = np.all(t == t.astype(np.float32), axis=0)
    digits = np.where(single, np.finfo(np.float32).eps, np.finfo(np.float64).eps)
    each = digits * np.abs(t).max(0) / t.std(0).clip(min=np.finfo(float).tiny)
    return np.minimum(LEFT + ROUNDINGS * np.maximum.accumulate(each), MOST)
