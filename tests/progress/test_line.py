"""The line on a terminal: what it holds, in any width."""

import pytest
from rich.cells import cell_len

from thalweg.progress.line import SHORTEST, clock, lay_out
from thalweg.progress.standing import Standing


@pytest.fixture
def standing(clock):
    """A fit at step 40 of 100 after 130 seconds."""
    found = Standing()
    found.begin("searching modes", 3, 5, "objective", "nats")
    clock.now += 110
    found.begin("fitting the flow", 4, 5, "objective", "nats")
    found.begin("compiling", None, None, "−ELBO", "nats")
    for step in (20, 40):
        clock.now += 10
        found.update("planar", step, 100, 3.123)
    return found


def shown(standing, clock, width):
    return lay_out(standing.moment, clock.now - standing.begun, clock.now, width)


def test_a_wide_line_holds_all(standing, clock):
    line = shown(standing, clock, 100)
    assert line.title == "4/5 fitting the flow"
    assert line.rest.split("  ") == ["", "40 %", "−ELBO 3.1230 nats", "2:10", "0:30 left"]


def test_time_left_counts_down_between_two_updates(standing, clock):
    clock.now += 4
    assert "2:14  0:26 left" in shown(standing, clock, 100).rest
    clock.now += 100
    assert "0:00 left" in shown(standing, clock, 100).rest


def test_a_part_of_a_stage_is_named_until_there_are_steps(clock):
    standing = Standing()
    standing.begin("fitting the flow", 4, 5, "objective", "nats")
    standing.begin("compiling", None, None, "−ELBO", "nats")
    assert shown(standing, clock, 80).title == "4/5 fitting the flow: compiling"
    standing.update("planar", 1, 100, 2.0)
    assert shown(standing, clock, 80).title == "4/5 fitting the flow"
    standing.end()
    standing.begin("writing the page", None, None, "objective", "nats")
    assert shown(standing, clock, 80).title == "writing the page"


@pytest.mark.parametrize("width", range(0, 120))
def test_a_line_never_wraps(standing, clock, width):
    line = shown(standing, clock, width)
    used = cell_len(line.title) + (2 + line.bar if line.bar else 0) + cell_len(line.rest)
    assert used <= width
    assert line.bar == 0 or line.bar >= SHORTEST


def test_forty_columns_show_stage_bar_share_and_clock(standing, clock):
    line = shown(standing, clock, 40)
    assert line.title == "4/5 fitting the flow"
    assert line.bar
    assert line.rest == "  40 %  2:10"


def test_the_clock_is_the_last_to_go(standing, clock):
    line = shown(standing, clock, 20)
    assert line == ("4/5 fitting t…", 0, "  2:10")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (8.9, "0:08"), (125, "2:05"), (7380, "2:03:00")]
)
def test_clocks(seconds, text):
    assert clock(seconds) == text
