"""Numbers formatted for readers."""

from __future__ import annotations

import math
from typing import Any

from thalweg.plots.style import minus

MISSING = "—"


def as_float(value: Any) -> float:
    """Return a float; None and objects that are not numbers become NaN."""
    try:
        return float("nan") if value is None else float(value)
    except (TypeError, ValueError):
        return float("nan")


def as_floats(values: Any) -> list[float]:
    """Return the elements of an array or a list as floats; none for None."""
    return [] if values is None else [as_float(value) for value in values]


def fixed(value: Any, decimals: int) -> str:
    """Format a number with so many decimals; infinities are ∞, NaN is a dash."""
    number = as_float(value)
    if math.isnan(number):
        return MISSING
    if math.isinf(number):
        return "∞" if number > 0 else "−∞"
    if abs(number) >= 1e7:
        return minus(f"{number:.3e}")
    return minus(f"{number:.{decimals}f}")


def decimals_for(error: Any) -> int:
    """Return the decimals that show two digits of a standard error: two to six."""
    number = as_float(error)
    if not math.isfinite(number) or number <= 0:
        return 4
    return max(2, min(6, 1 - math.floor(math.log10(number))))


def with_error(value: Any, error: Any) -> tuple[str, str]:
    """Format a number and its standard error with the same number of decimals."""
    decimals = decimals_for(error)
    return fixed(value, decimals), fixed(error, decimals)


def plus_minus(value: Any, error: Any) -> str:
    """Return "1.8676 ± 0.0010", or the number alone where it has no error."""
    number, spread = with_error(value, error)
    return number if spread == MISSING else f"{number} ±\u00a0{spread}"


def significant(value: Any, digits: int = 4) -> str:
    """Format a number with so many significant digits, without an exponent where it is near one."""
    number = as_float(value)
    if not math.isfinite(number):
        return fixed(number, 0)
    if number == 0:
        return "0"
    size = math.floor(math.log10(abs(number)))
    if -4 <= size < 6:
        return minus(f"{number:.{max(0, digits - 1 - size)}f}")
    return minus(f"{number:.{digits - 1}e}")


def percent(fraction: Any) -> str:
    """Format a fraction in per cent."""
    number = 100 * as_float(fraction)
    if math.isfinite(number) and 0 < number < 0.1:
        return "< 0.1 %"
    text = fixed(number, 1 if number < 99.95 else 0)
    return text if text == MISSING else f"{text} %"


def duration(seconds: Any) -> str:
    """Format a time span: "4.2 s", "3 min 5 s", "2 h 10 min"."""
    number = as_float(seconds)
    if not math.isfinite(number) or number < 0:
        return MISSING
    if number < 59.95:
        return f"{number:.1f} s"
    minutes, rest = divmod(round(number), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def count(number: Any) -> str:
    """Format a whole number with thin spaces between thousands."""
    value = as_float(number)
    return f"{int(value):,}".replace(",", "\u202f") if math.isfinite(value) else MISSING
