"""Run folders: the request, the data and the results of one run; consistent at any moment.

`run.json` is written first and rewritten whole at each change of `status`, so that a folder always
has its state: "running", "interrupted", "failed" or "complete".
"""

from thalweg.runs.folder import CHECKPOINT as CHECKPOINT
from thalweg.runs.folder import PAGE as PAGE
from thalweg.runs.folder import SCRATCH as SCRATCH
from thalweg.runs.folder import check_contents as check_contents
from thalweg.runs.folder import clean as clean
from thalweg.runs.folder import give_up as give_up
from thalweg.runs.folder import identity as identity
from thalweg.runs.folder import open_folder as open_folder
from thalweg.runs.record import RECORD as RECORD
from thalweg.runs.record import environment as environment
from thalweg.runs.record import environment_of as environment_of
from thalweg.runs.record import read_record as read_record
from thalweg.runs.record import reading as reading
from thalweg.runs.record import to_json as to_json
from thalweg.runs.record import write_record as write_record
from thalweg.runs.run import Run as Run
from thalweg.runs.run import check_precision as check_precision
from thalweg.runs.run import complete as complete
from thalweg.runs.run import read_complete as read_complete
from thalweg.runs.run import read_unfinished as read_unfinished
from thalweg.runs.run import request_to_resume as request_to_resume
