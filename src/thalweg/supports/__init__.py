"""Supports of parameters: maps from unconstrained numbers, with their Jacobians."""

from thalweg.supports.by_name import as_support as as_support
from thalweg.supports.by_name import cholesky as cholesky
from thalweg.supports.by_name import correlation_cholesky as correlation_cholesky
from thalweg.supports.by_name import greater_than as greater_than
from thalweg.supports.by_name import interval as interval
from thalweg.supports.by_name import less_than as less_than
from thalweg.supports.by_name import ordered as ordered
from thalweg.supports.by_name import positive as positive
from thalweg.supports.by_name import positive_ordered as positive_ordered
from thalweg.supports.by_name import real as real
from thalweg.supports.by_name import simplex as simplex
from thalweg.supports.by_name import unit_interval as unit_interval
from thalweg.supports.lines import A_FUNCTION as A_FUNCTION
from thalweg.supports.support import Support as Support
