"""The time that a fit may take."""

from __future__ import annotations

import math
import time

from thalweg.argument_checks import check_real_number


class TimeLimit:
    """Seconds of wall-clock time from now on.

    Args:
        seconds: how many; None for no limit.

    Raises:
        ValueError: the seconds are no positive number.

    Example:
        >>> import thalweg as tw
        >>> tw.training.TimeLimit(60).over(), tw.training.TimeLimit().left()
        (False, inf)
    """

    def __init__(self, seconds: float | None = None):
        if seconds is not None:
            seconds = check_real_number("time_limit", seconds, above=0)
        self.seconds = seconds
        self._begun = time.monotonic()

    def left(self) -> float:
        """Return the seconds that are left, at least zero; infinite without a limit.

        Returns:
            Seconds.

        Example:
            >>> import thalweg as tw
            >>> 0 < tw.training.TimeLimit(60).left() <= 60
            True
        """
        if self.seconds is None:
            return math.inf
        return max(self.seconds - (time.monotonic() - self._begun), 0.0)

    def over(self) -> bool:
        """Return whether no time is left.

        Returns:
            Whether it is so.

        Example:
            >>> import thalweg as tw
            >>> tw.training.TimeLimit(60).over()
            False
        """
        return self.left() <= 0
