"""Job 1: a log density in, a posterior with a verdict out."""

from thalweg.inference.job import infer as infer
from thalweg.inference.job import resume as resume
from thalweg.inference.posterior import Posterior as Posterior
from thalweg.inference.run_folder import read_run as read_run
