"""Job 1: a log density in, a posterior with a verdict out."""

from thalweg.inference.api import infer as infer
from thalweg.inference.api import read_run as read_run
from thalweg.inference.api import resume as resume
from thalweg.inference.posterior import Posterior as Posterior
