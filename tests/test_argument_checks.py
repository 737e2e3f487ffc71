"""Numbers that users give: converted, or refused in one sentence that has their name."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.argument_checks import (
    LARGEST_SEED,
    check_real_number,
    check_seed,
    check_whole_number,
    check_whole_numbers,
    key_from_seed,
)


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), np.array(3), jnp.asarray(3)])
def test_whole_numbers_of_any_kind_become_ints(value):
    found = check_whole_number("steps", value, least=3, most=3)
    assert found == 3
    assert type(found) is int


@pytest.mark.parametrize("value", [0, -1, 2.0, math.nan, True, np.bool_(True), "3", None, [3]])
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(ValueError, match=r"^steps must be a whole number of at least 1, got "):
        check_whole_number("steps", value)


def test_numbers_too_large_are_refused():
    with pytest.raises(ValueError, match=r"^bins must be a whole number of at most 4, got 5$"):
        check_whole_number("bins", 5, most=4)


def test_lists_of_whole_numbers():
    assert check_whole_numbers("hidden", [8, np.int32(4)]) == (8, 4)
    assert check_whole_numbers("hidden", ()) == ()
    with pytest.raises(ValueError, match="hidden must be a list of whole numbers, got '88'"):
        check_whole_numbers("hidden", "88")
    with pytest.raises(
        ValueError, match="each of hidden must be a whole number of at least 1, got 0"
    ):
        check_whole_numbers("hidden", (8, 0))


@pytest.mark.parametrize(
    "value", [2, 2.0, np.float32(2), np.int64(2), np.array(2.0), jnp.asarray(2.0)]
)
def test_real_numbers_of_any_kind_become_floats(value):
    found = check_real_number("rate", value, above=0)
    assert found == 2.0
    assert type(found) is float


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 10**400, True, "1", None, 1j])
def test_what_is_no_finite_number_is_refused(value):
    with pytest.raises(ValueError, match=r"^rate must be a finite number, got "):
        check_real_number("rate", value)


@pytest.mark.parametrize(
    ("bounds", "outside", "expected"),
    [
        ({"above": 0}, 0, "above 0"),
        ({"least": 0}, -1e-300, "of at least 0"),
        ({"below": 1}, 1, "below 1"),
        ({"most": 1}, 1.5, "of at most 1"),
        ({"least": 0, "below": 1}, 1.0, "in [0, 1)"),
        ({"above": 0, "below": 1}, 0.0, "in (0, 1)"),
        ({"least": 0, "most": 1}, 2, "in [0, 1]"),
        ({"above": -1, "most": 1}, -1, "in (-1, 1]"),
    ],
)
def test_bounds_are_held_and_said(bounds, outside, expected):
    with pytest.raises(ValueError) as raised:
        check_real_number("share", outside, **bounds)
    assert str(raised.value) == f"share must be a finite number {expected}, got {outside!r}"
    assert check_real_number("share", 0.5, **bounds) == 0.5


def test_bounds_that_belong_to_the_range_are_taken():
    assert check_real_number("share", 0, least=0, most=1) == 0.0
    assert check_real_number("share", 1, least=0, most=1) == 1.0


def test_seeds_are_those_of_jax():
    assert check_seed(LARGEST_SEED) == LARGEST_SEED
    np.testing.assert_array_equal(
        jax.random.key_data(key_from_seed(7)), jax.random.key_data(jax.random.key(7))
    )
    for seed in (-1, LARGEST_SEED + 1, 0.5):
        with pytest.raises(ValueError, match="seed must be a whole number"):
            check_seed(seed)
