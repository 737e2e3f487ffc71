"""The interface of progress, and progress that shows nothing."""

from __future__ import annotations

from typing import Protocol

OBJECTIVE, UNIT = "objective", "nats"


class Progress(Protocol):
    """The interface of progress; any object with these two methods will do.

    An object may also have a method `stage(name, number, of, objective, unit)`, which is called
    when a stage begins: see `begin_stage`.

    Args:
        stage: for `update`, the name of what is fitted.
        step: the steps that were taken, at the end of a chunk.
        steps: the steps of the stage.
        value: the objective in nats.
        text: for `message`, a sentence about the run.

    Example:
        >>> class Steps:
        ...     def update(self, stage, step, steps, value):
        ...         print(f"{stage}: {step} of {steps}")
        ...
        ...     def message(self, text):
        ...         print(text)
    """

    def update(self, stage: str, step: int, steps: int, value: float) -> None:
        """Note the objective in nats after a chunk, which ends with this step of a stage."""

    def message(self, text: str) -> None:
        """Note a sentence about the run."""


class Silent:
    """Progress that shows nothing.

    Example:
        >>> import thalweg as tw
        >>> tw.training.Silent().message("unseen")
    """

    def update(self, stage: str, step: int, steps: int, value: float) -> None:
        pass

    def message(self, text: str) -> None:
        pass


def begin_stage(
    progress: Progress,
    name: str,
    number: int | None = None,
    of: int | None = None,
    *,
    objective: str = OBJECTIVE,
    unit: str = UNIT,
) -> None:
    """Announce a stage, to progress that has a method for it.

    A stage with a number is one of a run; one without is a part of that one, such as compiling.

    Args:
        progress: that of the run.
        name: what is done, such as "searching modes".
        number: of the stage, from one on.
        of: the number of stages of the run.
        objective: the name, with its sign, of the value that updates have from now on.
        unit: that of the value.

    Example:
        >>> from thalweg.progress import Silent, begin_stage
        >>> begin_stage(Silent(), "searching modes", 2, 5)
    """
    announce = getattr(progress, "stage", None)
    if callable(announce):
        announce(name, number, of, objective, unit)
