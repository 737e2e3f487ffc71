"""Progress of a run: a line that moves on a terminal or in a notebook, or plain lines in a log."""

from thalweg.progress.protocol import Progress as Progress
from thalweg.progress.protocol import Silent as Silent
from thalweg.progress.protocol import begin_stage as begin_stage
from thalweg.progress.reporter import Reporter as Reporter
from thalweg.progress.reporter import as_progress as as_progress
from thalweg.progress.reporter import showing as showing
