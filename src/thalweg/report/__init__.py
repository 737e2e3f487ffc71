"""Reports: a fit as one page to read, keep and pass on."""

from thalweg.report.encoding import write_encoding as write_encoding
from thalweg.report.estimation import write_estimation as write_estimation
from thalweg.report.page import write_report as write_report
