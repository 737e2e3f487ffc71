"""Starts that the caller gives."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from inference.fits import BUDGET

from thalweg.inference import infer
from thalweg.inference.search.curvature import EXACT
from thalweg.inference.search.points import STARTS, as_points, first_points, read_points
from thalweg.inference.search.start import find_start
from thalweg.targets import Target, from_function
from thalweg.targets.evaluator import Evaluator

SMALL = {**BUDGET, "steps": 50}
NAMED = from_function(
    lambda p: -0.5 * jnp.sum(jnp.log(p["tau"]) ** 2) - 0.5 * jnp.sum(p["theta"] ** 2),
    parameters={"tau": (), "theta": (2,)},
    supports={"tau": "positive"},
)


def island(x):
    """A normal around 300, and nothing further than 5 from there."""
    return jnp.where(jnp.abs(x[0] - 300.0) < 5.0, -0.5 * (x[0] - 300.0) ** 2, -jnp.inf)


def test_u_init_names_itself_where_a_start_is_wanted():
    with pytest.raises(ValueError, match="give a start where it is finite with init=…"):
        infer(island, 1, **SMALL)


@pytest.mark.slow
def test_u_init_begins_where_dispersed_points_do_not():
    posterior = infer(island, 1, **SMALL, init=[301.0])
    assert abs(posterior.points.mean() - 300.0) < 0.2
    assert abs(posterior.diagnostics["log_evidence"] - 0.5 * np.log(2 * np.pi)) < 0.05
    assert posterior.record["request"]["init"] == [[301.0]]


def test_u_init_is_where_the_density_is_finite():
    with pytest.raises(ValueError, match=r"init: the log density 'island' or its gradient is not"):
        infer(island, 1, **SMALL, init=[[301.0], [10.0]])


def test_u_init_by_name_is_a_point_of_the_coordinates():
    one = as_points({"tau": 2.0, "theta": [1.0, -1.0]}, NAMED)
    np.testing.assert_allclose(one, [[np.log(2.0), 1.0, -1.0]])
    two = as_points({"tau": [1.0, 2.0], "theta": [[1.0, -1.0], [0.0, 3.0]]}, NAMED)
    np.testing.assert_allclose(two, [[0.0, 1.0, -1.0], [np.log(2.0), 0.0, 3.0]])
    np.testing.assert_allclose(as_points(np.ones(3), NAMED), [[1.0, 1.0, 1.0]])


@pytest.mark.parametrize(
    ("init", "words"),
    [
        ({"tau": 2.0}, "init: parameters are tau, theta; 'theta' is missing"),
        ({"tau": -1.0, "theta": [0.0, 0.0]}, "init: parameter 'tau' is"),
        ([1.0, 2.0], r"init must have shape \(3,\) or \(n, 3\), or a dictionary of named values"),
        ([1.0, 2.0, np.nan], r"init must be finite, but theta\[1\] is not"),
        ("here", "init must be numbers of shape"),
        ([], "init must have shape"),
        (np.zeros((2, 2, 3)), r"got \(2, 2, 3\)"),
    ],
)
def test_u_init_is_refused_in_one_sentence(init, words):
    with pytest.raises(ValueError, match=words) as caught:
        as_points(init, NAMED)
    assert "\n" not in str(caught.value)


def test_u_init_by_name_needs_names():
    with pytest.raises(ValueError, match="have no names: give a vector of shape"):
        as_points({"x1": 2.0}, Target("plain", 1, lambda x: -(x[0] ** 2)))


def test_u_init_comes_first_among_the_points():
    target = Target("plain", 2, lambda x: -jnp.sum(x**2))
    given = np.array([[7.0, 8.0]])
    points, usable, how = first_points(target, 0, given, EXACT, wider=False)
    assert points.shape == (STARTS + 1, 2)
    np.testing.assert_array_equal(points[0], given[0])
    assert usable.all()
    assert how == EXACT


def test_u_init_is_a_candidate_where_no_mode_is_looked_for():
    """With many coordinates Newton's method does not search; a given start still counts."""
    dim = 301
    start = find_start(
        Evaluator(lambda x: -0.5 * jnp.sum((x - 50.0) ** 2)),
        dim,
        np.random.default_rng(0),
        np.zeros((2, dim)),
        given=np.full((1, dim), 50.0),
    )
    assert start.best.name == "given 0"
    np.testing.assert_array_equal(start.best.gaussian.loc, 50.0)


def test_u_init_comes_from_a_file(tmp_path):
    file = tmp_path / "init.json"
    file.write_text(json.dumps({"tau": 2.0, "theta": [1, 2]}))
    assert read_points(file) == {"tau": 2.0, "theta": [1, 2]}
    file.write_text("[1, 2")
    with pytest.raises(ValueError, match="is not JSON"):
        read_points(file)
    file.write_text("3")
    with pytest.raises(ValueError, match="must hold values by name or a list of numbers, got 3"):
        read_points(file)
    with pytest.raises(ValueError, match="no such file"):
        read_points(tmp_path / "none.json")
