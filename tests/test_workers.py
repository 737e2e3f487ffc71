"""Tests of a group run on one worker: versions of pytest and xdist may lose that in silence."""

import pytest


def test_the_group_of_a_test_is_known(request):
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("no workers that take groups: `make test` has them")
    assert request.node.nodeid.endswith("@tests/test_workers.py")
