"""Named parameters: both views, names of numbers, and what is said of mistakes."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg import Parameters, supports
from thalweg.targets import from_function

DECLARED = Parameters.declare(
    {"z": (2,), "a": (), "group": {"scale": (), "weights": 3}, "factor": (2, 2)},
    {
        "a": "unit_interval",
        "group": {
            "scale": supports.interval(0.0, lambda before: before["a"]),
            "weights": "simplex",
        },
        "factor": "cholesky",
    },
)


def test_sizes_and_names():
    assert DECLARED.dim == 2 + 1 + 1 + 2 + 3
    assert DECLARED.names == (
        *("z[0]", "z[1]", "a", "group.scale"),
        *("group.weights[0]", "group.weights[1]", "group.weights[2]"),
        *("factor[0,0]", "factor[0,1]", "factor[1,0]", "factor[1,1]"),
    )
    assert DECLARED.coordinates[:4] == ("z[0]", "z[1]", "u(a)", "u(group.scale)")
    assert len(DECLARED.coordinates) == DECLARED.dim


def test_there_and_back():
    u = jax.random.normal(jax.random.key(0), (5, DECLARED.dim))
    tree = jax.jit(DECLARED.trees)(u)
    assert tree["group"]["weights"].shape == (5, 3)
    assert np.all(tree["group"]["scale"] < tree["a"])
    np.testing.assert_allclose(DECLARED.unconstrain(tree), u, atol=1e-10)
    one, log_det = jax.jit(DECLARED.constrain)(u[0])
    np.testing.assert_allclose(DECLARED.unconstrain(one), u[0], atol=1e-10)
    np.testing.assert_allclose(DECLARED.log_det(u)[0], log_det)


def test_rows_are_in_the_order_of_names():
    tree = DECLARED.trees(jax.random.normal(jax.random.key(0), (5, DECLARED.dim)))
    rows = DECLARED.rows(tree)
    assert rows.shape == (5, len(DECLARED.names))
    np.testing.assert_array_equal(rows[:, 3], tree["group"]["scale"])
    again = DECLARED.from_rows(rows)
    jax.tree.map(np.testing.assert_array_equal, again, tree)


def test_the_density_of_coordinates_integrates_to_that_of_parameters():
    """Exponential and beta densities, pulled back to the line, have mass 1 there."""
    declared = Parameters.declare({"t": (), "p": ()}, {"t": "positive", "p": "unit_interval"})
    grid = jnp.linspace(-12, 12, 801)
    u = jnp.stack(jnp.meshgrid(grid, grid), -1).reshape(-1, 2)
    tree = declared.trees(u)
    log_p = -tree["t"] + jnp.log(6 * tree["p"] * (1 - tree["p"]))
    mass = jnp.sum(jnp.exp(log_p + declared.log_det(u))) * (grid[1] - grid[0]) ** 2
    assert abs(mass - 1) < 1e-4


@pytest.mark.parametrize(
    ("parameters", "asked", "says"),
    [
        ({"a": {}}, None, "hold no parameter"),
        ({}, None, "dictionary of names and shapes"),
        ({"a": -1}, None, "the shape of 'a'"),
        ({"a": (2.5,)}, None, "the shape of 'a'"),
        ({"a": "x"}, None, "the shape of 'a'"),
        ({1: ()}, None, "names of parameters are strings, got 1"),
        ({"tau": ()}, {"tua": "positive"}, "'tua', which is no parameter (did you mean 'tau'?)"),
        ({"tau": ()}, {"tau": "positiv"}, "parameter 'tau': unknown support"),
        ({"w": ()}, {"w": "simplex"}, "parameter 'w': a simplex needs a last axis"),
    ],
)
def test_bad_declarations_are_refused(parameters, asked, says):
    with pytest.raises(ValueError) as caught:
        Parameters.declare(parameters, asked)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"t": -1.0}, "parameter 't' is -1., outside its support positive"),
        ({"t": jnp.array([1.0, 0.0]), "p": jnp.array([0.5, 0.5])}, "parameter 't' is 0."),
        ({"t": jnp.ones(3)}, "with the same batch in front"),
        ({"q": 1.0}, "'q' is none"),
    ],
)
def test_bad_values_are_refused(change, says):
    declared = Parameters.declare({"t": (), "p": ()}, {"t": "positive", "p": "unit_interval"})
    with pytest.raises(ValueError) as caught:
        declared.unconstrain({"t": 1.0, "p": 0.5, **change})
    assert says in str(caught.value)
    with pytest.raises(ValueError, match="'p' is missing"):
        declared.unconstrain({"t": 1.0})


def test_w1_names_are_opaque_keys_and_nesting_is_kept():
    declared = Parameters.declare(
        {"x": (), "x.y": (2,), "group": {"p": (), "in.ner": ()}, "": ()},
        {"x.y": "positive", "group": {"in.ner": "unit_interval"}},
    )
    assert list(declared.shapes) == ["x", "x.y", "group.p", "group.in.ner", ""]
    u = jnp.arange(6.0)
    tree, _ = declared.constrain(u)
    assert set(tree) == {"x", "x.y", "group", ""} and set(tree["group"]) == {"p", "in.ner"}
    np.testing.assert_allclose(tree["x.y"], np.exp([1.0, 2.0]))
    np.testing.assert_allclose(declared.unconstrain(tree), u, atol=1e-12)
    again = Parameters.from_record(json.loads(json.dumps(declared.to_record())))
    assert again == declared
    assert declared.names == ("x", "x.y[0]", "x.y[1]", "group.p", "group.in.ner", "''")


def test_w1_labels_are_never_the_same():
    declared = Parameters.declare(
        {"a": 2, "a[0]": (), "u(b)": (), "b": (), "'a[0]'": (), " c": (), "c": (), "d[1]": ()},
        {"b": "positive"},
    )
    assert declared.names == (
        *("a[0]", "a[1]", "'a[0]'", "'u(b)'", "b", "\"'a[0]'\"", "' c'", "c", "d[1]"),
    )
    assert len(set(declared.coordinates)) == declared.dim


def test_w1_two_parameters_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two parameters have the name 'a"):
        Parameters.declare({"a": {"b": ()}, "a.b": ()})


def test_w1_records_of_before_are_read_as_nested():
    record = {"shapes": {"group.p": []}, "supports": {"group.p": "real"}}
    assert set(Parameters.from_record(record).trees(jnp.zeros((1, 1)))) == {"group"}


def test_t_supports_that_are_no_dictionary_are_refused():
    with pytest.raises(ValueError, match=r"supports are a dictionary .*, got \['positive'\]"):
        Parameters.declare({"a": ()}, ["positive"])
    with pytest.raises(ValueError, match="supports go with parameters"):
        from_function(lambda x: -(x[0] ** 2), 1, supports=["positive"])


def test_a_record_holds_all_but_functions():
    declared = Parameters.declare({"a": (), "w": 3}, {"a": "interval(-1, 2)", "w": "simplex"})
    assert Parameters.from_record(declared.to_record()) == declared
    assert Parameters.from_record(DECLARED.to_record()) is None
    assert Parameters.from_record(None) is None
