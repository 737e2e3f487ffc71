"""Inference of named parameters: dictionaries in and out, each within its support."""

import jax.numpy as jnp
import numpy as np
import pytest

import thalweg
from thalweg.cli.main import main
from thalweg.inference import infer
from thalweg.targets import from_file

DECLARED = {"rate": (), "share": (2,)}
SUPPORTS = {"rate": "positive", "share": "unit_interval"}
BUDGET = {"flow": "planar", "layers": 2, "steps": 300, "batch_size": 64, "restarts": 2}


def gamma_and_betas(p):
    """Gamma(4, 2), Beta(2, 3) and Beta(2, 2): ln Z = 0, known means."""
    rate, share = p["rate"], p["share"]
    gamma = 4 * jnp.log(2.0) - jnp.log(6.0) + 3 * jnp.log(rate) - 2 * rate
    first = jnp.log(12.0) + jnp.log(share[0]) + 2 * jnp.log1p(-share[0])
    second = jnp.log(6.0) + jnp.log(share[1]) + jnp.log1p(-share[1])
    return gamma + first + second


@pytest.fixture(scope="module")
def fitted():
    return infer(gamma_and_betas, parameters=DECLARED, supports=SUPPORTS, progress=False, **BUDGET)


@pytest.mark.slow
def test_the_determinant_is_in_the_evidence(fitted):
    numbers = fitted.diagnostics
    assert abs(numbers["log_evidence"]) < 0.02
    assert -0.1 < numbers["elbo"] < 0.01


def test_draws_are_dictionaries_within_their_supports(fitted):
    for draws in (fitted.sample(2000), fitted.resample(2000)):
        assert draws["rate"].shape == (2000,) and draws["share"].shape == (2000, 2)
        assert np.all(draws["rate"] > 0)
        assert np.all((draws["share"] > 0) & (draws["share"] < 1))
    assert abs(np.mean(draws["rate"]) - 2) < 0.15
    np.testing.assert_allclose(np.mean(draws["share"], 0), [0.4, 0.5], atol=0.03)


def test_the_table_is_of_the_parameters_themselves(fitted):
    table = fitted.summary()
    assert table.names == ("rate", "share[0]", "share[1]")
    assert abs(table["rate"]["corrected mean"] - 2) < 0.1
    assert fitted.coordinate_names == ("u(rate)", "u(share[0])", "u(share[1])")


def test_densities_are_of_the_parameters_themselves(fitted):
    point = {"rate": 2.0, "share": jnp.array([0.4, 0.5])}
    assert abs(float(fitted.log_prob(point)) - float(gamma_and_betas(point))) < 0.5
    batch = {"rate": jnp.ones((5, 2)), "share": jnp.full((5, 2, 2), 0.5)}
    assert fitted.log_prob(batch).shape == (5, 2)
    with pytest.raises(ValueError, match="parameter 'share' is"):
        fitted.log_prob({"rate": 1.0, "share": jnp.array([0.4, 1.5])})


def test_expectations_take_dictionaries(fitted):
    value, error = fitted.expectation(lambda p: p["rate"] * p["share"][1])
    assert abs(value - 1.0) < 0.1
    assert 0 < error < 0.02


@pytest.mark.parametrize("corrected", [False, True])
def test_arviz_gets_four_chains_of_named_draws(fitted, corrected):
    found = fitted.to_arviz(1000, corrected=corrected)["posterior"]
    assert found["rate"].shape == (4, 250)
    assert found["share"].shape == (4, 250, 2)
    assert abs(float(found["rate"].mean()) - 2) < 0.2
    assert found.attrs["verdict"] == fitted.verdict
    assert found.attrs["khat"] == fitted.diagnostics["khat"]


def test_a_run_remembers_names_and_supports(fitted, tmp_path):
    fitted.save(tmp_path / "run")
    again = thalweg.load(tmp_path / "run")
    assert again.parameters == fitted.parameters
    draws = again.sample(4)
    np.testing.assert_array_equal(draws["rate"], fitted.sample(4)["rate"])
    assert again.summary().names == fitted.summary().names


def test_the_command_line_has_the_names(fitted, tmp_path):
    fitted.save(tmp_path / "run")
    file = tmp_path / "draws.csv"
    run = str(tmp_path / "run")
    assert main(["sample", run, "-n", "5", "-o", str(file)]) == 0
    assert file.read_text().splitlines()[0] == "rate,share[0],share[1]"
    scores = tmp_path / "scores.csv"
    assert main(["score", run, str(file), "-o", str(scores)]) == 0
    expected = np.asarray(fitted.log_prob(fitted.sample(5)))
    np.testing.assert_allclose(np.loadtxt(scores, skiprows=1), expected, rtol=1e-5)
    assert main(["report", run]) == 0
    assert "share[1]" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_a_file_may_declare_its_parameters(tmp_path):
    path = tmp_path / "model.py"
    path.write_text(
        "import jax.numpy as jnp\n"
        "parameters = {'tau': (), 'theta': (3,)}\n"
        "supports = {'tau': 'positive'}\n"
        "def log_density(p):\n"
        "    return -p['tau'] - 0.5 * jnp.sum(p['theta'] ** 2)\n",
        encoding="utf-8",
    )
    target = from_file(f"{path}:log_density")
    assert target.dim == 4
    assert target.parameter_names == ("u(tau)", "theta[0]", "theta[1]", "theta[2]")
    np.testing.assert_allclose(target.log_density(jnp.zeros(4)), -1.0)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"supports": SUPPORTS}, "supports go with parameters"),
        ({"parameters": DECLARED, "dim": 5}, "dim=5 was given for parameters of 3 free numbers"),
        ({"parameters": {"rate": (), "shere": (2,)}}, "KeyError: 'share'"),
    ],
)
def test_what_does_not_fit_is_refused(asked, says):
    with pytest.raises(ValueError) as caught:
        infer(gamma_and_betas, progress=False, **BUDGET, **asked)
    assert says in str(caught.value)


def test_other_targets_have_parameters_of_their_own():
    with pytest.raises(ValueError, match="go with a function"):
        infer("u1", parameters=DECLARED, progress=False)
