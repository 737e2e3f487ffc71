"""Names, options and what is said about wrong ones."""

import pytest

from thalweg import targets
from thalweg.targets.registry import TARGETS


def test_names_are_sorted_and_complete():
    assert targets.names() == sorted(TARGETS)
    assert {
        "u1", "u2", "u3", "u4", "ring", "banana", "funnel", "gaussian_mixture", "two_modes",
        "forty_modes", "many_well", "student_t", "correlated_gaussian", "standard_normal",
    } <= set(targets.names())  # fmt: skip


def test_options_reach_the_maker_and_are_recorded():
    target = targets.get("funnel", dim=4)
    assert target.dim == 4
    assert target.options == {"dim": 4, "scale": 3.0}


@pytest.mark.parametrize("typed", ["funel", "Funnel", "FUNNEL"])
def test_an_unknown_name_gets_a_hint_and_the_list(typed):
    with pytest.raises(ValueError) as caught:
        targets.get(typed)
    message = str(caught.value)
    assert message.startswith(f"unknown target {typed!r} (did you mean 'funnel'?)")
    assert message.endswith(", ".join(targets.names()))


def test_a_name_like_no_other_gets_the_list_alone():
    with pytest.raises(ValueError, match=r"unknown target 'qqqq'; known targets: banana, "):
        targets.get("qqqq")


def test_an_unknown_option_is_named_with_the_known_ones():
    with pytest.raises(ValueError) as caught:
        targets.get("ring", dims=3)
    assert str(caught.value) == (
        "target 'ring' has no option 'dims'; its options: dim, radius, width"
    )


def test_a_target_without_options_says_so():
    with pytest.raises(ValueError, match="target 'u1' has no option 'dim'; its options: none"):
        targets.get("u1", dim=2)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("many_well", {"dim": 5}, r"dim of many_well must be even \(pairs of coordinates\), got 5"),
        ("funnel", {"dim": 1}, "dim must be a whole number of at least 2, got 1"),
        ("banana", {"dim": 1}, "dim must be a whole number of at least 2, got 1"),
        ("ring", {"width": 0.0}, "width must be a finite number above 0, got 0.0"),
        ("ring", {"radius": "4"}, "radius must be a finite number above 0, got '4'"),
        ("ring", {"radius": True}, "radius must be a finite number above 0, got True"),
        ("banana", {"curvature": float("nan")}, "curvature must be a finite number, got nan"),
        ("two_modes", {"weight": 1.0}, r"weight must be a finite number in \(0, 1\)"),
        ("student_t", {"df": -1}, "df must be a finite number above 0, got -1"),
        (
            "correlated_gaussian",
            {"correlation": 1},
            r"correlation must be a finite number in \(-1, 1\)",
        ),
        ("forty_modes", {"components": 0}, "components must be a whole number of at least 1"),
        ("gaussian_mixture", {"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        (
            "gaussian_mixture",
            {"components": 3, "weights": (0.5, 0.5)},
            r"weights must hold one number per component \(3\), got 2",
        ),
        (
            "gaussian_mixture",
            {"components": 2, "weights": (1.0, 0.0)},
            "each weight must be a finite number above 0, got 0.0",
        ),
        ("gaussian_mixture", {"weights": 0.5}, "weights must be a sequence of numbers, got 0.5"),
    ],
)
def test_a_value_it_cannot_take_is_refused_in_a_sentence(name, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        targets.get(name, **options)
