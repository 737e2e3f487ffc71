"""Names of parameters are opaque keys from the model to the run folder and back."""

import csv
import math
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy.special import betaln

import thalweg as tw
from thalweg.bijections import FixedAffine
from thalweg.chains.arviz import _from_dict
from thalweg.cli.main import main
from thalweg.diagnostics import Diagnostics
from thalweg.diagnostics.draws import draw
from thalweg.distributions import Flow, StandardNormal
from thalweg.inference.density_of_run import target_record
from thalweg.inference.posterior import Posterior
from thalweg.targets import from_function, from_numpyro
from thalweg.training.history import History

# Each with the mean of the parameter of that name: what hides behind the wrong name is seen.
NAMES = {
    "x": -2.0,
    "x.y": -1.0,
    "x.y.z": 0.0,
    "theta[0]": 1.0,
    "net/Dense_0.kernel": 2.0,
    "größe β": 3.0,
    "a,b": 4.0,
    " ": 5.0,
    ".": 6.0,
    "log_density": 7.0,
    "u(s)": 8.0,
}


def many(y):
    for name, mean in NAMES.items():
        numpyro.sample(name, dist.Normal(mean, 0.1))
    theta = numpyro.sample("theta", dist.Normal(jnp.array([9.0, 10.0]), 0.1).to_event(1))
    numpyro.sample("s", dist.LogNormal(0.0, 0.1))
    numpyro.sample("y.obs", dist.Normal(theta[0], 5.0), obs=y)


def coin(heads):
    p = numpyro.sample("group.p", dist.Beta(2, 2))
    numpyro.sample("y", dist.Binomial(10, p), obs=heads)


def posterior_of(target, mean, sd):
    """A posterior whose flow is an independent normal of the coordinates, without a fit."""
    factor = np.diag(np.broadcast_to(sd, target.dim))
    flow = Flow(StandardNormal((target.dim,)), FixedAffine(jnp.asarray(mean), jnp.asarray(factor)))
    return Posterior(
        flow=flow,
        gaussian=flow,
        target=target,
        diagnostics=Diagnostics(*[0.0] * 6),
        verdict="trust",
        reasons=[],
        history=History(),
        draws=draw(flow, target.log_density, jax.random.key(0), 500),
        coordinate_names=target.parameter_names,
        parameters=target.parameters,
        record={"target": target_record(target), "request": {}},
    )


@pytest.fixture(scope="module")
def posterior():
    return posterior_of(from_numpyro(many, 9.0), [*NAMES.values(), 9.0, 10.0, 0.0], 0.1)


def beta_binomial():
    """ln Z and the mean: of Beta(2, 2) with 9 of 10 comes Beta(11, 3)."""
    return math.log(10) + betaln(11, 3) - betaln(2, 2), 11 / 14


def test_w1_names_with_dots_are_opaque_keys():
    log_z, mean = beta_binomial()
    assert abs(log_z - -2.6603) < 1e-4
    target = from_numpyro(coin, 9.0)
    u = jnp.linspace(-8.0, 8.0, 4001)
    density = np.exp(np.asarray(jax.vmap(target.log_density)(u[:, None])))
    step = float(u[1] - u[0])
    assert abs(math.log(density.sum() * step) - log_z) < 1e-6
    p = np.asarray(target.parameters.trees(u[:, None])["group.p"])
    assert abs((p * density).sum() / density.sum() - mean) < 1e-6
    # The mode and the curvature there of the logit: 11 heads and 3 tails, as it were.
    posterior = posterior_of(target, [math.log(11 / 3)], [math.sqrt(14 / 33)])
    assert abs(float(np.mean(posterior.resample(4000)["group.p"])) - mean) < 0.01
    heads = posterior.predictive(n=4000, corrected=True)["y"]
    assert abs(float(np.mean(heads)) - 10 * mean) < 0.15


@pytest.mark.slow
def test_w1_a_fit_with_dots_in_names_is_right_throughout():
    log_z, mean = beta_binomial()
    posterior = tw.infer(from_numpyro(coin, 9.0), flow="gaussian", steps=200, progress=False)
    assert abs(posterior.diagnostics["log_evidence"] - log_z) < 0.02
    assert list(posterior.sample(5)) == ["group.p"]
    chains = posterior.refine("independence", draws=1000, progress=False)
    assert abs(float(np.mean(chains.sample(1000)["group.p"])) - mean) < 0.02
    posterior.save("run")
    again = tw.load("run")
    np.testing.assert_array_equal(again.sample(5)["group.p"], posterior.sample(5)["group.p"])
    assert again.parameter_names == ("group.p",)


def test_w1_all_kinds_of_names_keep_their_values(posterior, tmp_path):
    assert list(posterior.parameters.shapes) == [*NAMES, "theta", "s"]
    draws = posterior.sample(500)
    for name, mean in NAMES.items():
        assert abs(float(np.mean(draws[name])) - mean) < 0.1
    table = posterior.summary()
    assert len(set(table.names)) == len(table.names) == len(NAMES) + 3
    assert {"x", "x.y", "theta[0]", "'theta[0]'", "theta[1]", "' '"} < set(table.names)
    for name, row in zip(table.names, table.values, strict=True):
        wanted = {"theta[0]": 9.0, "theta[1]": 10.0, "s": 1.0, "'theta[0]'": 1.0, "' '": 5.0}
        wanted["'u(s)'"] = 8.0
        assert abs(row[0] - wanted.get(name, NAMES.get(name))) < 0.1
    posterior.save(tmp_path / "run")
    again = tw.load(tmp_path / "run")
    for name, value in again.sample(20).items():
        np.testing.assert_array_equal(value, posterior.sample(20)[name])
    point = {name: value[0] for name, value in draws.items()}
    np.testing.assert_allclose(again.log_prob(point), posterior.log_prob(point))


def test_w1_tables_of_draws_have_the_names_and_can_be_scored(tmp_path):
    declared = {"x": (), "x.y": (2,), "a,b": (), 'say "é"': ()}

    def density(p):
        return -0.5 * sum(jnp.sum((p[name] - i) ** 2) for i, name in enumerate(declared))

    target = from_function(density, parameters=declared)
    posterior = posterior_of(target, [0.0, 1.0, 1.0, 2.0, 3.0], 1.0)
    posterior.save("run")
    for ending in ("csv", "npz"):
        assert main(["sample", "run", "-n", "50", "-o", f"draws.{ending}"]) == 0
        assert main(["score", "run", f"draws.{ending}", "-o", "scores.csv", "--force"]) == 0
    with open("draws.csv", encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["x", "x.y[0]", "x.y[1]", "a,b", 'say "é"']
    np.testing.assert_allclose(np.mean(np.array(rows, float), 0), [0, 1, 1, 2, 3], atol=0.6)
    scores = np.loadtxt("scores.csv", skiprows=1)
    draws = posterior.sample(50)
    np.testing.assert_allclose(scores, posterior.log_prob(draws), rtol=1e-5)


def test_w1_names_go_to_arviz(posterior):
    pytest.importorskip("arviz")
    found = posterior.to_arviz(40)["posterior"]
    for name, mean in NAMES.items():
        assert abs(float(found[name].mean()) - mean) < 0.3


def test_w1_slashes_become_dots_where_a_tree_has_them_as_paths(monkeypatch):
    made = types.SimpleNamespace(from_dict=lambda groups: groups)
    monkeypatch.setitem(sys.modules, "arviz_base", made)
    draws = np.zeros((4, 2))
    assert set(_from_dict({"net/a.w": draws, "x": draws})["posterior"]) == {"net.a.w", "x"}
    with pytest.raises(ValueError, match="would be the same"):
        _from_dict({"net/w": draws, "net.w": draws})


def test_w1_a_flow_as_a_guide_keeps_names():
    from numpyro.infer import SVI, Predictive, Trace_ELBO

    from thalweg.numpyro import AutoFlow

    guide = AutoFlow(many, "gaussian")
    svi = SVI(many, guide, numpyro.optim.Adam(1e-3), Trace_ELBO())
    params = svi.run(jax.random.key(0), 1, 9.0, progress_bar=False).params
    assert set(guide.median(params)) == {*NAMES, "theta", "s"}
    drawn = Predictive(guide, params=params, num_samples=2)(jax.random.key(1), 9.0)
    assert {*NAMES, "theta", "s"} <= set(drawn)
