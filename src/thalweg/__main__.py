"""`python -m thalweg` is the `thalweg` command."""

from thalweg.cli.main import script

script()
