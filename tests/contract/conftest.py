"""The contract suite is a package: its checks are imported by other tests too."""

import sys
from pathlib import Path

TESTS = str(Path(__file__).parents[1])
if TESTS not in sys.path:
    sys.path.insert(0, TESTS)


def group_of(item):
    """The bijection or flow that a test is about; empty for none."""
    mark = item.get_closest_marker("xdist_group")
    return mark.args[0] if mark else ""


def pytest_collection_modifyitems(items):
    """Tests of one bijection stand together: what is compiled for it is compiled once."""
    items.sort(key=group_of)
