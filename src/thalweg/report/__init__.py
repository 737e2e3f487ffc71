"""Reports: a fit as one page to read, keep and pass on."""

from thalweg.report.page import write_report as write_report
