"""Where a run stands: its stage, its steps, its objective and its clocks."""

from __future__ import annotations

import math
import time
from typing import NamedTuple

from thalweg.progress.protocol import OBJECTIVE, UNIT

SMOOTHING = 0.3  # weight of the newest value of the objective


class Stage(NamedTuple):
    """One of the stages of a run, and when it began."""

    name: str
    number: int | None
    of: int | None
    begun: float

    @property
    def title(self) -> str:
        """The name with its number, such as "2/5 searching modes"."""
        return self.name if self.number is None else f"{self.number}/{self.of} {self.name}"


class Pace(NamedTuple):
    """Steps and the smoothed objective; `first` is the step of the first update, at `begun`."""

    label: str
    step: int
    steps: int
    value: float
    first: int
    begun: float
    seen: float

    @property
    def rate(self) -> float:
        """Steps a second; zero after a first update, which starts the clock."""
        return (self.step - self.first) / max(self.seen - self.begun, 1e-9)

    @property
    def over(self) -> bool:
        """Whether this is the last step."""
        return self.step >= self.steps

    def left(self, now: float) -> float | None:
        """Return the seconds until the last step; None where that is not known."""
        if self.rate <= 0:
            return None
        return max((self.steps - self.step) / self.rate - (now - self.seen), 0.0)

    def after(self, step: int, steps: int, value: float, now: float) -> Pace:
        """Return the pace after a further update."""
        smooth = self.value
        if math.isfinite(value):  # infinite while every step is refused: it must not stick
            smooth = value if not math.isfinite(smooth) else smooth + SMOOTHING * (value - smooth)
        return self._replace(step=step, steps=steps, value=smooth, seen=now)


class Moment(NamedTuple):
    """All that is shown at one time.

    `part` is what is done within the stage, or alone where there is no stage.
    """

    stage: Stage | None = None
    part: str = ""
    pace: Pace | None = None
    objective: str = OBJECTIVE
    unit: str = UNIT

    @property
    def title(self) -> str:
        """The stage and the part of it."""
        names = [self.stage.title if self.stage else "", self.part]
        return ": ".join(name for name in names if name)

    @property
    def value(self) -> str:
        """The objective by name, value and unit; "" without one."""
        if self.pace is None:
            return ""
        return f"{self.objective} {self.pace.value:.4f} {self.unit}"


class Standing:
    """Where a run stands.

    `moment` is replaced and never changed in place: another thread may read it at any time.
    """

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.moment = Moment()
        self.stepped = Moment()  # the latest one with steps since the stage began

    def begin(
        self, name: str, number: int | None, of: int | None, objective: str, unit: str
    ) -> None:
        """Begin a stage, or a part of it where there is no number."""
        if number is None:
            self.moment = Moment(self.moment.stage, name, None, objective, unit)
        else:
            stage = Stage(name, number, of, time.monotonic())
            self.stepped = Moment()
            self.moment = Moment(stage, "", None, objective, unit)

    def end(self) -> None:
        """Leave the stage."""
        self.moment = self.stepped = Moment()

    def update(self, label: str, step: int, steps: int, value: float) -> bool:
        """Note an update; returns whether it is the first of its kind."""
        now, moment = time.monotonic(), self.moment
        pace = moment.pace
        fresh = pace is None or label != pace.label or step < pace.step
        if pace is None or fresh:
            pace = Pace(label, step, steps, value, step, now, now)
        else:
            pace = pace.after(step, steps, value, now)
        self.moment = moment._replace(part="" if moment.stage else label, pace=pace)
        self.stepped = self.moment
        return fresh
