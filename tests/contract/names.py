"""The names that the contract runs over, each with all of its tests on one worker.

What is compiled for a bijection or a recipe is then compiled once.
"""

import pytest

from thalweg import flows
from thalweg.bijections.registry import BIJECTIONS


def _grouped(names):
    return [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in names]


BIJECTION_NAMES = _grouped(sorted(BIJECTIONS))
RECIPE_NAMES = _grouped(flows.names())
