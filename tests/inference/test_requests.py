"""Arguments of `infer`: wrong ones are refused in one sentence, before a fit begins."""

import math

import jax.numpy as jnp
import pytest
from inference.fits import BUDGET, SKEWED, Listener, fit, skewed

from thalweg.bijections import TriangularAffine
from thalweg.distributions import Flow, StandardNormal
from thalweg.inference import infer
from thalweg.objectives import Annealing


@pytest.mark.parametrize(
    ("flow", "sentence"),
    [
        ("plannar", "unknown flow 'plannar'"),
        (Flow(StandardNormal((3,)), TriangularAffine(3)), r"must be a Flow on \(2,\)"),
        (lambda key, dim: 3, r"must be a Flow on \(2,\)"),
        (lambda key: key, "the function that makes the flow raised TypeError"),
        (lambda key, dim: 1 / 0, "the function that makes the flow raised ZeroDivisionError"),
        (7, "flow"),
        (None, "flow"),
    ],
)
def test_what_is_no_flow_is_refused(flow, sentence):
    with pytest.raises(ValueError, match=sentence) as raised:
        infer(SKEWED, flow=flow, progress=False)
    assert "\n" not in str(raised.value)


def test_options_go_with_a_recipe():
    own = Flow(StandardNormal((2,)), TriangularAffine(2))
    with pytest.raises(ValueError, match="'layers' go with a recipe's name"):
        infer(SKEWED, flow=own, layers=3, progress=False)
    with pytest.raises(ValueError, match="has no option 'bins'; its options: layers"):
        infer(SKEWED, flow="planar", bins=3, progress=False)


@pytest.mark.parametrize(
    ("arguments", "changes", "sentence"),
    [
        ((skewed,), {}, "a function needs dim="),
        ((skewed, 0), {}, "dim must be"),
        ((skewed, 2.0), {}, "dim must be"),
        ((SKEWED, 3), {}, "dim=3 was given for a target of dimension 2"),
        (("skew",), {}, "unknown target 'skew'"),
        (("two_modes", 0), {}, "dim must be"),
        ((7,), {}, "the target must be a function, a Target or a name, got int"),
        ((SKEWED,), {"objective": "forward_kl"}, "unknown objective 'forward_kl'"),
        ((SKEWED,), {"steps": 0}, "steps must be a whole number of at least 1"),
        ((SKEWED,), {"steps": 1.5}, "steps must be a whole number of at least 1"),
        ((SKEWED,), {"batch_size": 0}, "batch_size must be a whole number of at least 1"),
        ((SKEWED,), {"restarts": 0}, "restarts must be a whole number of at least 1"),
        ((SKEWED,), {"restarts": True}, "restarts must be a whole number of at least 1"),
        ((SKEWED,), {"seed": -1}, "seed must be a whole number"),
        ((SKEWED,), {"seed": 0.5}, "seed must be a whole number"),
        ((SKEWED,), {"layers": 0}, "layers must be a whole number of at least 1"),
        ((SKEWED,), {"learning_rate": -1.0}, "learning_rate must be a finite number above 0"),
        ((SKEWED,), {"learning_rate": math.nan}, "learning_rate must be a finite number above 0"),
        ((SKEWED,), {"learning_rate": "fast"}, "learning_rate must be a finite number above 0"),
        ((SKEWED,), {"gradient": "score"}, "gradient must be 'path' or 'total'"),
        ((SKEWED,), {"annealing": "yes"}, "annealing"),
        ((SKEWED,), {"annealing": Annealing([1.0] * 3, 10.0)}, "annealing"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_done(tmp_path, arguments, changes, sentence):
    folder, said = tmp_path / "run", Listener()
    with pytest.raises(ValueError, match=sentence) as raised:
        infer(*arguments, **{**BUDGET, "out": folder, "progress": said, **changes})
    assert "\n" not in str(raised.value)
    assert said.stages == []  # no fit had begun
    assert not folder.exists()


def test_a_density_that_cannot_be_fitted_leaves_no_folder(tmp_path):
    with pytest.raises(ValueError, match="-inf at every point"):
        infer(lambda x: -jnp.inf * jnp.sum(x**2), 2, **BUDGET, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_annealing_that_is_not_a_number_is_refused():
    with pytest.raises(ValueError, match="start ≥ 0"):
        fit(annealing=Annealing(math.nan, 100.0))
