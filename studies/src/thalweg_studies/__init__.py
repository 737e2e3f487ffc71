"""Studies: the experiments of papers, each a command that writes a table, figures and its origin.

`thalweg reproduce NAME` finds them through the entry points `thalweg.studies`.
"""

__version__ = "0.1.0"
