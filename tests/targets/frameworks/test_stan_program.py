"""A Stan program compiled on this machine: its density, its names, what it refuses, its runs.

Compiling takes a minute or more, so all of this is marked slow.
"""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.targets import check_target, from_stan
from thalweg.targets.frameworks.stan import program

pytestmark = pytest.mark.slow

PROGRAM = """
functions {
  #include half.stan
}
data {
  int<lower=1> N;
  vector[N] y;
}
parameters {
  real mu;
  real<lower=0> tau;
  real<lower=tau> above;
  ordered[2] edges;
  matrix[2, 3] B;
  array[2] vector[3] V;
  cholesky_factor_corr[2] L;
  corr_matrix[3] R;
}
model {
  mu ~ normal(0, 5);
  tau ~ cauchy(0, half(4));
  above ~ exponential(2);
  edges ~ normal(0, 1);
  to_vector(B) ~ normal(0, 1);
  for (k in 1:2) V[k] ~ normal([0, 1, 2]', 1);
  L ~ lkj_corr_cholesky(1);
  R ~ lkj_corr(1);
  y ~ normal(mu, tau);
  print("a superfluous line");
  if (mu > 100) reject("mu is too large");
}
"""
HALF = "real half(real x) { return x / 2; }\n"
Y = np.array([1.0, 2.5, 0.5])


def by_hand(u):
    """The same density of the same coordinates, but for those of the correlation matrix."""
    normal, tau = jax.scipy.stats.norm.logpdf, jnp.exp(u[1])
    above, edges = tau + jnp.exp(u[2]), jnp.array([u[3], u[3] + jnp.exp(u[4])])
    place = jnp.tile(jnp.arange(3.0), 2)
    log_p = normal(u[0], 0, 5) + jax.scipy.stats.cauchy.logpdf(tau, 0, 2) + u[1]
    log_p += jnp.log(2.0) - 2 * above + u[2] + normal(edges).sum() + u[4]
    log_p += normal(u[5:11]).sum() + normal(u[11:17], place).sum()
    log_p += -jnp.log(2.0) + jnp.log(1 - jnp.tanh(u[17]) ** 2)  # uniform on (−1, 1)
    return log_p + normal(Y, u[0], tau).sum()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with a program and its data, and the cache in which it is compiled."""
    try:
        program.stan_folder()
        program.find_compiler("the program")
    except ValueError as error:
        pytest.skip(str(error))
    place = tmp_path_factory.mktemp("stan")
    (place / "all.stan").write_text(PROGRAM)
    (place / "half.stan").write_text(HALF)
    (place / "d.json").write_text(json.dumps({"N": 3, "y": Y.tolist(), "unused": 1}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(place / "cache"))
        from_stan(place / "all.stan", place / "d.json")
    return place


@pytest.fixture
def place(built, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(built / "cache"))
    return built


def test_stans_own_words_reach_the_user_where_every_start_is_rejected(place):
    target = from_stan(place / "all.stan", {"N": 3, "y": [1.0, float("nan"), 0.5]})
    points = np.random.default_rng(0).normal(size=(16, target.dim))
    with pytest.raises(ValueError, match=r"points tried; it says: normal_lpdf: .* is nan.*line 28"):
        check_target(target, points)


def test_a_program_has_the_density_that_it_states(place, capfd):
    target = from_stan(str(place / "all.stan"), {"N": 3, "y": Y})
    said = capfd.readouterr()
    assert said.out == said.err == ""  # it is compiled already
    assert target.dim == 21 and target.reference is None
    u = jax.random.normal(jax.random.key(3), (40, 21))
    fixed = u.at[:, 18:].set(0.0)  # whose density is then the same for all
    for derive in (lambda f: f, jax.grad, jax.hessian):
        ours, hand = (jax.jit(jax.vmap(derive(f)))(fixed) for f in (target.log_density, by_hand))
        keep = slice(0, 18)
        if ours.ndim == 1:
            ours = ours - ours[0] + hand[0]
        else:
            keep = (slice(None), *[slice(0, 18)] * (ours.ndim - 1))
            ours, hand = ours[keep], hand[keep]
        tolerance = 1e-6 if ours.ndim == 3 else 1e-9
        np.testing.assert_allclose(ours, hand, rtol=tolerance, atol=tolerance)
    far = u[0].at[0].set(200.0)
    assert target.log_density(far) == -jnp.inf
    assert capfd.readouterr().out == ""


def test_a_program_has_its_parameters_by_name(place):
    target = from_stan(place / "all.stan", place / "d.json")
    named = target.parameters
    assert named.shapes["V"] == (2, 3) and named.shapes["R"] == (3, 3)
    assert str(named.supports["tau"]) == "positive"
    assert str(named.supports["L"]) == "correlation_cholesky"
    assert "Stan" in str(named.supports["above"])
    assert {"mu", "u(tau)", "B[1,0]"} <= set(target.parameter_names)
    u = jax.random.normal(jax.random.key(4), (6, 21))
    trees = named.trees(u)
    np.testing.assert_allclose(trees["B"][0], np.asarray(u[0, 5:11]).reshape(3, 2).T)
    np.testing.assert_allclose(trees["V"][0], np.asarray(u[0, 11:17]).reshape(2, 3))
    np.testing.assert_allclose(np.linalg.cholesky(trees["R"])[:, 0, 0], 1.0)
    np.testing.assert_allclose(named.unconstrain(trees), u, atol=1e-9)
    # What was float32 on its way is no reason to refuse a correlation matrix.
    rounded = {name: np.asarray(x, np.float32) for name, x in trees.items()}
    np.testing.assert_allclose(named.unconstrain(rounded), u, atol=1e-4)
    with pytest.raises(ValueError, match="outside their supports"):
        named.unconstrain({**trees, "tau": -trees["tau"]})


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("real mu;", "real mu", r"is no Stan program: Syntax error in 'm\.stan', line 11, column"),
        ("mu ~ normal", "nu ~ normal", r"Semantic error in 'm\.stan', line 20, column 2"),
        ("real mu;", "complex mu;", "parameter 'mu' of m.stan is complex"),
        ("real mu;", "tuple(real, real) mu;", "parameter 'mu' of m.stan is a tuple"),
    ],
)
def test_programs_that_are_not_valid(place, tmp_path, before, after, says):
    (tmp_path / "half.stan").write_text(HALF)
    text = PROGRAM.replace(before, after)
    if "complex" in after or "tuple" in after:
        text = f"parameters {{ {after} }} model {{ }}"
    (tmp_path / "m.stan").write_text(text)
    with pytest.raises(ValueError, match=says) as caught:
        from_stan(tmp_path / "m.stan", {"N": 3, "y": Y})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"N": 4, "y": Y}, "the data do not fit all.stan: .*variable name=y"),
        ({"N": 0, "y": []}, "the data do not fit all.stan: .*N is 0"),
    ],
)
def test_data_that_the_program_refuses(place, data, says):
    with pytest.raises(ValueError, match=says) as caught:
        from_stan(place / "all.stan", data)
    assert "\n" not in str(caught.value)


def test_a_run_on_the_command_line_finds_its_program_again(place, tmp_path, capfd):
    from thalweg.cli.main import main
    from thalweg.inference import read_run
    from thalweg.report.repeat import command_line, python_call

    for name in ("all.stan", "half.stan", "d.json"):
        (tmp_path / name).write_bytes((place / name).read_bytes())
    budget = {"flow": "planar", "layers": 1, "steps": 20, "batch": 16, "restarts": 1}
    quick = [word for key, value in budget.items() for word in (f"--{key}", str(value))]
    quick += ["--out", "run", "--json"]
    assert main(["infer", "all.stan", "--data", "d.json", *quick]) == 0
    said = capfd.readouterr()
    assert json.loads(said.out)["dim"] == 21
    assert "Warning" not in said.err and "superfluous" not in said.out + said.err
    assert read_run("run").target is None  # no code is run because a folder names it
    opened = read_run("run", trust_code=True)
    assert opened.target is not None
    assert f"infer {tmp_path}/all.stan --data {tmp_path}/d.json" in command_line(opened.record)
    assert f"from_stan('{tmp_path}/all.stan', '{tmp_path}/d.json')" in python_call(opened.record)
    trusted = "--trust-code"
    assert main(["resume", "run", "--json", trusted]) == main(["report", "run", trusted]) == 0
    assert main(["sample", "run", "-n", "5", "-o", "draws.csv", "--corrected", trusted]) == 0
    # Without its program the run is one of unconstrained coordinates.
    assert main(["sample", "run", "-n", "5", "-o", "plain.csv"]) == 0
    assert main(["score", "run", "plain.csv", "-o", "scores.csv"]) == 0
    assert "R[2,1]" in (tmp_path / "draws.csv").read_text().splitlines()[0]
    assert np.isfinite(np.loadtxt("scores.csv", skiprows=1)).all()
    capfd.readouterr()
    (tmp_path / "half.stan").write_text(HALF + "\n")
    assert main(["sample", "run", "-n", "5", "-o", "more.csv", "--corrected", trusted]) == 1
    assert "half.stan has changed since the run was made from it" in capfd.readouterr().err
    assert main(["sample", "run", "-n", "5", "-o", "more.csv"]) == 0  # in coordinates
