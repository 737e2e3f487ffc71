"""One compiled training loop for all jobs: chunks of steps, restarts, checkpoints, progress."""

from typing import TYPE_CHECKING, Any

from thalweg.progress import Progress as Progress
from thalweg.progress import Reporter as Reporter
from thalweg.progress import Silent as Silent
from thalweg.progress import as_progress as as_progress
from thalweg.training.compile_time import compile_seconds as compile_seconds
from thalweg.training.effort import check_effort as check_effort
from thalweg.training.history import History as History
from thalweg.training.loop import ChunkRecord as ChunkRecord
from thalweg.training.schedule import check_budget as check_budget
from thalweg.training.time_limit import TimeLimit as TimeLimit
from thalweg.training.train import Trained as Trained
from thalweg.training.train import train as train

if not TYPE_CHECKING:  # a type checker is to know the names there are

    def __getattr__(name: str) -> Any:
        from thalweg.renamed import find_renamed

        return find_renamed(__name__, name)
