"""Parameters of PyMC models: names, shapes, supports and maps."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special
from targets.frameworks.pymc_models import nothing, pm, schools
from targets.frameworks.pymc_targets import (
    MODELS,
    built,
    labelled_schools,
    own_supports,
    points,
    their_supports,
    theirs,
)

from thalweg.targets import check_target


@pytest.mark.parametrize("model", MODELS)
def test_parameters_are_those_of_pymc(model):
    """There and back; the density with the Jacobian less the one without is ln|det|."""
    _, target = built(model)
    u = points(target)
    trees, log_dets = jax.jit(jax.vmap(target.parameters.constrain))(u)
    back = target.parameters.unconstrain(trees)  # refuses what is outside its support
    np.testing.assert_allclose(back, u, atol=1e-9)
    for i, point in enumerate(u):
        whole, bare, values = theirs(model, point)
        np.testing.assert_allclose(log_dets[i], whole - bare, atol=1e-9)
        for name, value in values.items():
            np.testing.assert_allclose(trees[name][i], value, atol=1e-12)


def test_maps_of_the_same_kind_are_thalwegs():
    supports = built(own_supports)[1].parameters.supports
    assert {name: str(one) for name, one in supports.items()} == {
        "real": "real",
        "positive": "positive",
        "share": "unit_interval",
        "between": "interval(-1, 3)",
        "low": "greater_than(-2)",
        "high": "less_than(2)",
        "order": "ordered",
        "rising": "positive_ordered",
    }
    theirs = built(their_supports)[1].parameters.supports
    assert str(theirs["weights"]) == "Simplex of PyMC"
    assert theirs["rest"].needs == ("share",)
    assert theirs["effects"].free((4,)) == (3,)
    with pytest.raises(ValueError, match=r"of shape \(4,\), got \(5,\)"):
        theirs["effects"].free((5,))


def test_points_outside_a_support_are_named():
    target = built(their_supports)[1]
    parameters = target.parameters
    good, _ = jax.jit(parameters.constrain)(points(target)[0])
    outside = {
        "share": 1.5,
        "rest": 1.0 - good["share"] / 2,
        "weights": np.full((2, 3), 0.3),
        "effects": np.array([1.0, -1.0, 0.0, 0.1]),
        "falling": np.array([1.0, 2.0, 0.0]),
        "soft": -1.0,
        "beyond": 1.9,
    }
    holds = jax.jit(
        lambda tree: {n: one.holds(tree[n], good) for n, one in parameters.supports.items()}
    )
    bad = {name: jnp.asarray(value, float) for name, value in outside.items()}
    assert all(holds(good).values())
    assert not any(holds(bad).values())
    with pytest.raises(ValueError, match=r"'soft' is .* outside its support LogExpM1 of"):
        parameters.unconstrain({**good, "soft": -1.0})


def test_wide_bounds_do_not_put_points_outside():
    def wide():
        shift = pm.Normal("shift")
        pm.Uniform("far", -1e6 + shift, 1e6)
        nothing()

    parameters = built(wide)[1].parameters
    point = {"shift": 0.3, "far": 1e-3}
    tree, _ = parameters.constrain(parameters.unconstrain(point))
    np.testing.assert_allclose(tree["far"], 1e-3, atol=1e-8)


def test_names_and_shapes_are_kept():
    context, target = built(schools)
    inner = built(labelled_schools)[1].parameters
    assert target.parameters.shapes == {"mu": (), "tau": (), "theta": (8,)}
    assert target.parameters.names[:3] == ("mu", "tau", "theta[0]")
    assert target.source == "a PyMC model"
    assert check_target(target, points(target, 16)).all()
    assert list(inner.shapes) == [
        "group::mu",
        "group::tau",
        "theta",
    ]
    assert context.free_RVs[0].name == "mu"  # the model is as it was


def dotted():
    first = pm.Normal("a", 1, 1)
    pm.LogNormal("a.b", first, 1)
    pm.Beta("a[0] c", 2, 2)
    nothing()


def test_names_of_pymc_are_opaque_keys():
    _, target = built(dotted)
    assert target.parameters.shapes == {"a": (), "a.b": (), "a[0] c": ()}
    u = jnp.array([0.3, -0.5, 0.2])
    tree = target.parameters.constrain(u)[0]
    np.testing.assert_allclose([tree["a"], tree["a.b"]], [0.3, math.exp(-0.5)])
    share = special.expit(0.2)
    by_hand = math.log(6 * (share * (1 - share)) ** 2) - math.log(2 * math.pi)
    by_hand += -0.5 * 0.7**2 - 0.5 * 0.8**2
    np.testing.assert_allclose(target.log_density(u), by_hand, rtol=1e-7)


def test_a_variable_of_size_0_is_kept_with_no_numbers():
    def half_empty():
        mu = pm.Normal("mu", 0, 1)
        extra = pm.HalfNormal("extra", 1, shape=0)
        pm.Normal("y", mu + extra.sum(), 1, observed=1.0)

    _, target = built(half_empty)
    assert target.parameters.names == ("mu",)
    assert target.parameters.trees(jnp.ones((2, 1)))["extra"].shape == (2, 0)
