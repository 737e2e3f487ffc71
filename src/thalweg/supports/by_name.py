"""Supports by name: "positive", "interval(0, 5)"."""

from __future__ import annotations

import ast
import difflib
import math
from collections.abc import Callable

from thalweg.supports import lines, matrices, vectors
from thalweg.supports.support import Bound, Support

real = lines.Real()
positive = lines.GreaterThan(0.0)
unit_interval = lines.Interval(0.0, 1.0)
simplex = vectors.Simplex()
ordered = vectors.Ordered()
positive_ordered = vectors.Ordered(positive=True)
cholesky = matrices.Cholesky()
correlation_cholesky = matrices.CorrelationCholesky()

# Those above: the name in Python is the word.
WORDS: dict[str, Support] = {
    name: support for name, support in globals().items() if isinstance(support, Support)
}


def greater_than(low: Bound) -> Support:
    """Return the support of numbers above a bound, x = low + e^u.

    Args:
        low: a number, or a function of the parameters declared before.

    Returns:
        A support of arrays of any shape.

    Raises:
        ValueError: the bound is neither finite nor a function.

    Example:
        >>> import thalweg as tw
        >>> print(tw.supports.greater_than(2))
        greater_than(2)
    """
    return lines.GreaterThan(low)


def less_than(high: Bound) -> Support:
    """Return the support of numbers below a bound, x = high − e^u.

    Args:
        high: a number, or a function of the parameters declared before.

    Returns:
        A support of arrays of any shape.

    Raises:
        ValueError: the bound is neither finite nor a function.

    Example:
        >>> import thalweg as tw
        >>> print(tw.supports.less_than(lambda given: given["top"]))
        less_than(a function)
    """
    return lines.LessThan(high)


def interval(low: Bound, high: Bound) -> Support:
    """Return the support of numbers between two bounds, x = low + (high − low) σ(u).

    Args:
        low: a number, or a function of the parameters declared before.
        high: the same.

    Returns:
        A support of arrays of any shape.

    Raises:
        ValueError: a bound is neither finite nor a function, or low < high does not hold.

    Example:
        >>> import jax.numpy as jnp, thalweg as tw
        >>> x, log_det = tw.supports.interval(0, 10).constrain(jnp.zeros(()), {})
        >>> float(x)
        5.0
    """
    return lines.Interval(low, high)


CALLS: dict[str, tuple[Callable[..., Support], int]] = {
    "interval": (interval, 2),
    "greater_than": (greater_than, 1),
    "less_than": (less_than, 1),
}


def as_support(asked: str | Support) -> Support:
    """Return the support of a name.

    Args:
        asked: "positive", "interval(0, 5)" and so on, or a support, which is returned.

    Returns:
        The support.

    Raises:
        ValueError: the name is unknown, or its bounds are not finite numbers.

    Example:
        >>> import thalweg as tw
        >>> tw.supports.as_support("interval(0, 1)") == tw.supports.unit_interval
        True
    """
    if isinstance(asked, Support):
        return asked
    if not isinstance(asked, str):
        raise ValueError(f"a support is a name or a Support, got {asked!r:.60}")
    word, bracket, rest = asked.strip().partition("(")
    if not bracket and word in WORDS:
        return WORDS[word]
    if word not in CALLS:
        known = [*WORDS, *(f"{name}({', '.join('ab'[:n])})" for name, (_, n) in CALLS.items())]
        close = difflib.get_close_matches(word, [*WORDS, *CALLS], 1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise ValueError(f"unknown support {asked!r:.60}{hint}; known: {', '.join(known)}")
    make, count = CALLS[word]
    try:
        bounds = ast.literal_eval(f"({rest.rstrip().removesuffix(')')},)")
        numbers = [float(bound) for bound in bounds]
    except (ValueError, SyntaxError, TypeError, OverflowError, RecursionError, MemoryError):
        numbers = []
    finite = all(math.isfinite(bound) for bound in numbers)
    if len(numbers) != count or not finite or not rest.rstrip().endswith(")"):
        wanted = f"{word}({', '.join('ab'[:count])})"
        few = "a finite number" if count == 1 else f"{count} finite numbers"
        raise ValueError(f"a support {wanted} takes {few}, got {asked!r:.60}")
    return make(*numbers)
