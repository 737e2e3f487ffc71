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


UNLIMITED = TimeLimit()


class Speed:
    """The speed of a run since its program was there, and the steps that a time limit allows.

    Args:
        time_limit: that of the run.
        done: the steps that were taken before.
    """

    def __init__(self, time_limit: TimeLimit, done: int):
        self._time_limit, self._done, self._left = time_limit, done, time_limit.left()

    def steps_left(self, done: int) -> float:
        """Return how many steps more the time allows, after so many steps."""
        left = self._time_limit.left()
        spent = self._left - left
        return (done - self._done) * left / spent if spent > 0 else math.inf
