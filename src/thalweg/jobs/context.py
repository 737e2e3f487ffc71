"""`--context`: what a conditional density is given, as values by name or as a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


def contexts_given(words: Sequence[str], names: Sequence[str], run: Path) -> np.ndarray | None:
    """Contexts with the columns of a run: values by name, or the rows of a table.

    Raises `ValueError` that names what is missing, not known, or no number.
    """
    import numpy as np

    from thalweg.tables.table_file import listed

    if not names:
        if words:
            raise ValueError(f"{run} is a density without a context: leave --context out")
        return None
    needed = f"{run} is a density given a context, {listed(names)}"
    if not words:
        raise ValueError(
            f"{needed}: pass --context {names[0]}=VALUE{' …' if len(names) > 1 else ''}, or "
            "--context FILE with such columns"
        )
    # A name may hold "=", and so may a path: what begins with the name of a column is a value.
    pairs = [
        next(((n, word[len(n) + 1 :]) for n in names if word.startswith(f"{n}=")), None)
        for word in words
    ]
    if len(words) == 1 and pairs[0] is None and (Path(words[0]).exists() or "=" not in words[0]):
        return _rows_of(Path(words[0]), names)
    values: dict[str, float] = {}
    for word, pair in zip(words, pairs, strict=True):
        if pair is None:
            raise ValueError(f"{needed}; --context {word} is none of COLUMN=VALUE and one FILE")
        if pair[0] in values:
            raise ValueError(f"--context has two values of {pair[0]!r}")
        values[pair[0]] = _number(*pair)
    absent = [name for name in names if name not in values]
    if absent:
        raise ValueError(f"{needed}; --context has no {listed(absent)}")
    return np.array([[values[name] for name in names]])


def _number(name: str, text: str) -> float:
    import math

    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"--context {name}={text}: {text!r} is no finite number")
    return value


def _rows_of(path: Path, names: Sequence[str]) -> np.ndarray:
    """Rows of a table, columns by name; by place where the file has no names."""
    from thalweg.density.rows.table import as_rows
    from thalweg.tables import open_table

    table = open_table(path)
    if not table.named and len(table.names) != len(names):
        raise ValueError(f"{path} has {len(table.names)} columns, {len(names)} are needed")
    found = table.rows(list(names if table.named else table.names))
    rows: Any = as_rows(found, path.name, least=1, names=names)[0]
    return rows
