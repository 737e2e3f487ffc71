"""Inference from end to end, on budgets that are small but enough for these densities."""

import math
import signal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training.fits import aged

from thalweg import flows, targets
from thalweg.bijections import TriangularAffine
from thalweg.distributions import Flow, StandardNormal
from thalweg.inference import Posterior, infer, read_run, resume
from thalweg.inference.stages import Inference
from thalweg.inference.summary import COLUMNS
from thalweg.objectives import Annealing
from thalweg.runs import CHECKPOINT, read_record
from thalweg.targets import Target
from thalweg.training import Silent

# One budget and one density for most tests: they then share all compiled programs.
BUDGET = {
    "flow": "planar",
    "layers": 2,
    "steps": 200,
    "batch_size": 32,
    "restarts": 2,
    "progress": False,
}
NUMBERS = {"elbo", "elbo_se", "log_evidence", "log_evidence_se", "khat", "ess_fraction"}
MEAN = np.array([3.0, -0.98])
VARIANCE = np.array([4.0, 0.0108])


def skewed(x):
    """A normalised density far from the origin, of two scales, slightly bent."""
    bend = -1.0 + 0.005 * (x[0] - 3.0) ** 2
    first, second = (x[0] - 3.0) / 2.0, (x[1] - bend) / 0.1
    return -0.5 * (first**2 + second**2) - math.log(2 * math.pi * 2.0 * 0.1)


SKEWED = Target("skewed", 2, skewed, log_z=0.0, parameter_names=("mu", "log_sigma"))
TWO_MODES = targets.get("two_modes")


def fit(target=SKEWED, **changes):
    return infer(target, **{**BUDGET, **changes})


@pytest.fixture(scope="module")
def fitted():
    return fit()


# --- what comes out ------------------------------------------------------------------------------


def test_diagnostics_have_the_promised_numbers(fitted):
    numbers = fitted.diagnostics
    assert numbers.keys() >= NUMBERS
    assert {"kl", "draws", "kept", "gaussian", "restarts", "coverage", "parameters"} <= set(numbers)
    assert all(math.isfinite(numbers[name]) for name in NUMBERS)
    assert numbers["gaussian"].keys() >= NUMBERS
    assert len(numbers["restarts"]["objective"]) == 2
    assert numbers["not_finite"] == {}
    assert numbers["elbo"] <= numbers["log_evidence"] + 1e-12
    assert numbers["kl"] == -numbers["elbo"]


def test_the_evidence_is_right_within_its_error(fitted):
    numbers = fitted.diagnostics
    assert abs(numbers["log_evidence"]) < 4.5 * numbers["log_evidence_se"] + 1e-3
    assert numbers["coverage"]["log_evidence"] == pytest.approx(0.0, abs=0.1)
    assert fitted.verdict in {"trust", "correct"}


def test_history_is_that_of_the_flow(fitted):
    assert fitted.history.step == list(range(2, 201, 2))
    assert np.array(fitted.history.value).shape == (100, 2)


def test_one_seed_gives_one_result(fitted):
    again, other = fit(), fit(seed=1)
    for name in NUMBERS:
        assert again.diagnostics[name] == fitted.diagnostics[name]
        assert other.diagnostics[name] != fitted.diagnostics[name]
    np.testing.assert_array_equal(again.sample(5), fitted.sample(5))


def test_a_function_is_a_target(fitted):
    posterior = infer(skewed, 2, **BUDGET)
    assert posterior.diagnostics["elbo"] == fitted.diagnostics["elbo"]
    assert posterior.diagnostics["kl"] is None  # ln Z is not known of a function
    assert posterior.parameter_names == ("x1", "x2")


def test_the_gaussian_is_kept_when_the_flow_is_worse():
    posterior = fit(learning_rate=20.0, steps=20, restarts=2)
    numbers = posterior.diagnostics
    assert numbers["kept"] == "gaussian"
    assert numbers["elbo"] == pytest.approx(numbers["gaussian"]["elbo"], abs=0.02)
    assert numbers["elbo"] > -0.5
    assert any("Gaussian" in reason for reason in posterior.reasons)
    assert numbers["parameters"] == 5
    assert posterior.flow is posterior.gaussian


def test_an_untrained_density_of_two_modes_is_never_trusted():
    for seed in range(3):
        posterior = fit(TWO_MODES, steps=100, seed=seed)
        assert posterior.verdict != "trust"
        assert posterior.diagnostics["start"]["modes"] == 2


# --- the posterior -------------------------------------------------------------------------------


def test_draws_and_densities_agree(fitted):
    n = len(fitted.draws.x)  # so that one program serves stored draws too
    draws = np.asarray(fitted.sample(n))
    assert draws.shape == (n, 2)
    np.testing.assert_array_equal(draws, fitted.sample(n))
    assert not np.array_equal(draws, fitted.sample(n, seed=1))
    log_q = np.asarray(fitted.log_prob(draws))
    log_p = np.asarray(jax.vmap(skewed)(draws))
    assert np.mean(log_p - log_q) == pytest.approx(fitted.diagnostics["elbo"], abs=0.02)
    assert fitted.log_prob(np.zeros((2, 3, 2), int)).shape == (2, 3)


def test_stored_draws_are_the_flows_own(fitted):
    draws = fitted.draws
    np.testing.assert_allclose(draws.log_q, fitted.log_prob(draws.x), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(draws.log_p, jax.vmap(skewed)(draws.x), rtol=1e-10)


def test_expectation_comes_with_its_error(fitted):
    value, error = fitted.expectation(lambda x: x[0], 4000)
    assert error == pytest.approx(VARIANCE[0] ** 0.5 / 4000**0.5, rel=0.1)
    assert abs(value - MEAN[0]) < 4.5 * error + 0.15


def test_summary_prints_every_parameter(fitted):
    table = fitted.summary()
    text = str(table)
    assert fitted.verdict in text.splitlines()[0]
    assert [row["parameter"] for row in table] == ["mu", "log_sigma"]
    assert set(table["mu"]) == set(COLUMNS)
    assert table["mu"]["mean"] == pytest.approx(MEAN[0], abs=0.2)
    assert table["mu"]["5%"] < table["mu"]["50%"] < table["mu"]["95%"]
    assert all(name in text for name in ("mu", "log_sigma", *COLUMNS))


def test_resampling_moves_moments_towards_the_target():
    # A Gaussian twice too wide, off by one standard deviation.
    off = flows.build("gaussian", jax.random.key(0), 2)
    shifted = eqx.tree_at(
        lambda flow: (flow.bijection.raw.free["loc"], flow.bijection.raw.free["log_diagonal"]),
        off,
        (jnp.asarray([5.0, -1.1]), jnp.log(jnp.asarray([4.0, 0.2]))),
    )
    draws = targets.get("standard_normal")  # only to hold a place
    posterior = Posterior(
        shifted, off, SKEWED, {"draws": 0}, "correct", [], None, draws, SKEWED.parameter_names
    )
    plain, corrected = np.asarray(posterior.sample(4000)), posterior.resample(4000)
    assert corrected.shape == (4000, 2)
    assert abs(plain[:, 0].mean() - MEAN[0]) > 1.8
    assert abs(corrected[:, 0].mean() - MEAN[0]) < 0.25
    assert abs(plain[:, 0].std() - 2.0) > 1.5
    assert abs(corrected[:, 0].std() - 2.0) < 0.25
    np.testing.assert_array_equal(corrected, posterior.resample(4000))


@pytest.mark.parametrize("n", [0, -1, 2.5, True, "3"])
def test_the_number_of_draws_must_be_a_positive_integer(fitted, n):
    for ask in (fitted.sample, fitted.resample):
        with pytest.raises(ValueError, match="number of draws must be a positive integer"):
            ask(n)


@pytest.mark.parametrize("n", [1, 5])
def test_few_corrected_draws_can_be_had(fitted, n):
    assert fitted.resample(n).shape == (n, 2)


# --- flows of one's own --------------------------------------------------------------------------


def test_flows_of_ones_own():
    made = []

    def make(key, dim):
        made.append(dim)
        return Flow(StandardNormal((dim,)), TriangularAffine(dim))

    options = {"steps": 60, "batch_size": 32, "restarts": 1, "progress": False}
    from_function = infer(SKEWED, flow=make, **options)
    assert set(made) == {2}
    assert from_function.record["request"]["flow"] is None
    itself = infer(SKEWED, flow=make(None, 2), **options)
    assert itself.diagnostics["elbo"] == pytest.approx(from_function.diagnostics["elbo"], abs=1e-9)


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


# --- densities of one's own ----------------------------------------------------------------------


SIMPLE = {"flow": "gaussian", "steps": 20, "batch_size": 32, "restarts": 1, "progress": False}


def test_a_bound_method_of_a_flow_is_a_density():
    flow = flows.build("gaussian", jax.random.key(0), 2)
    posterior = infer(flow.log_prob, 2, **SIMPLE)
    assert posterior.diagnostics["elbo"] == pytest.approx(0.0, abs=0.02)


def test_a_function_that_holds_arrays_is_a_density():
    class Model(eqx.Module):
        scale: jax.Array

        def __call__(self, x):
            return -0.5 * jnp.sum((x / self.scale) ** 2)

    posterior = infer(Model(jnp.ones(2)), 2, **SIMPLE)
    assert posterior.diagnostics["elbo"] == pytest.approx(math.log(2 * math.pi), abs=0.02)


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
        ((SKEWED,), {"steps": 0}, "steps must be a positive integer"),
        ((SKEWED,), {"steps": 1.5}, "steps must be a positive integer"),
        ((SKEWED,), {"batch_size": 0}, "batch_size must be a positive integer"),
        ((SKEWED,), {"restarts": 0}, "restarts must be a positive integer"),
        ((SKEWED,), {"restarts": True}, "restarts must be a positive integer"),
        ((SKEWED,), {"seed": -1}, "seed must be a whole number"),
        ((SKEWED,), {"seed": 0.5}, "seed must be a whole number"),
        ((SKEWED,), {"layers": 0}, "layers must be a positive integer"),
        ((SKEWED,), {"learning_rate": -1.0}, "learning_rate must be a positive number"),
        ((SKEWED,), {"learning_rate": math.nan}, "learning_rate must be a positive number"),
        ((SKEWED,), {"learning_rate": "fast"}, "learning_rate must be a positive number"),
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


@pytest.fixture(autouse=True)
def ctrl_c_interrupts():
    """A shell that starts the tests in the background has Ctrl-C ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Listener(Silent):
    """Notes what it is told, and presses Ctrl-C at a step of a stage."""

    def __init__(self, stage=None, at=None):
        self.stage, self.at, self.stages, self.messages = stage, at, [], []

    def update(self, stage, step, steps, value):
        if stage not in self.stages:
            self.stages.append(stage)
        if (stage, step) == (self.stage, self.at):
            signal.raise_signal(signal.SIGINT)

    def message(self, text):
        self.messages.append(text)
        if text.startswith("looking") and self.stage == "start":
            signal.raise_signal(signal.SIGINT)


def test_progress_names_the_stages():
    listener = Listener()
    fit(progress=listener)
    assert listener.stages == ["gaussian", "planar"]
    assert any("skewed" in text for text in listener.messages)


# --- run folders ---------------------------------------------------------------------------------

SCALAR = {"flow": "auto", "layers": 2, "steps": 100, "batch_size": 32, "restarts": 1}


@pytest.fixture(scope="module")
def scalar(tmp_path_factory):
    """A one-dimensional built-in, in a run folder."""
    folder = tmp_path_factory.mktemp("scalar") / "run"
    return infer("student_t", 1, **SCALAR, out=folder, progress=False), folder


def test_one_dimension_has_a_flow_of_its_own(scalar):
    posterior, _ = scalar
    assert posterior.record["request"]["flow"] == "planar"
    assert posterior.sample(3).shape == (3, 1)
    assert posterior.diagnostics["log_evidence"] == pytest.approx(0.0, abs=0.1)


def test_a_run_folder_holds_what_it_promises(scalar):
    _, folder = scalar
    assert {path.name for path in folder.iterdir()} == {
        "run.json",
        "model.safetensors",
        "gaussian.safetensors",
        "draws.safetensors",
        "history.json",
    }
    record = read_record(folder)
    assert record["status"] == "complete"
    assert record["request"]["seed"] == 0
    assert record["target"]["name"] == "student_t"
    assert {"jax", "thalweg"} <= record["environment"]["versions"].keys()
    assert record["seconds"] >= 0


def assert_equal_posteriors(one, other):
    np.testing.assert_array_equal(one.sample(50), other.sample(50))
    np.testing.assert_array_equal(one.log_prob(one.draws.x), other.log_prob(one.draws.x))
    for a, b in zip(one.draws, other.draws, strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.verdict == other.verdict
    assert one.reasons == other.reasons
    assert one.history == other.history
    assert one.parameter_names == other.parameter_names
    assert str(one.summary()) == str(other.summary())
    for name in NUMBERS:
        assert one.diagnostics[name] == other.diagnostics[name]


def test_a_run_is_read_back_as_it_was(scalar):
    posterior, folder = scalar
    again = read_run(folder)
    assert_equal_posteriors(posterior, again)
    # The built-in density was found again, so draws can be corrected.
    np.testing.assert_array_equal(again.resample(50), posterior.resample(50))
    np.testing.assert_array_equal(
        again.gaussian.log_prob(jnp.ones(1)), posterior.gaussian.log_prob(jnp.ones(1))
    )


def test_a_complete_run_is_resumed_by_reading_it(scalar):
    posterior, folder = scalar
    before = (folder / "run.json").read_bytes()
    assert_equal_posteriors(posterior, resume(folder, progress=False))
    assert (folder / "run.json").read_bytes() == before


def test_a_saved_posterior_of_a_function_cannot_be_corrected_but_read(fitted, tmp_path):
    fitted.save(tmp_path / "kept")
    again = read_run(tmp_path / "kept")
    assert_equal_posteriors(fitted, again)
    assert again.target is None
    with pytest.raises(ValueError, match="cannot find again"):
        again.resample(10)


def test_saving_twice_into_one_folder_is_refused(scalar, fitted):
    with pytest.raises(ValueError, match="already holds a run"):
        fitted.save(scalar[1])


# --- interrupts ----------------------------------------------------------------------------------


def test_an_interrupted_fit_is_resumed_to_the_same_end(scalar, tmp_path):
    posterior, _ = scalar
    folder = tmp_path / "run"
    target = targets.get("student_t", dim=1)
    stopped = infer(target, **SCALAR, out=folder, progress=Listener("planar", 30))
    assert stopped.interrupted
    assert stopped.sample(4).shape == (4, 1)
    assert read_record(folder)["status"] == "interrupted"
    with pytest.raises(ValueError, match="thalweg resume"):
        read_run(folder)
    aged(folder / CHECKPOINT, 1000)
    resumed = resume(folder, progress=False)
    assert not resumed.interrupted
    assert resumed.record["seconds"] > 1000
    assert read_record(folder)["status"] == "complete"
    assert resumed.history.value == posterior.history.value
    for name in NUMBERS:
        assert resumed.diagnostics[name] == posterior.diagnostics[name]
    assert not [path.name for path in folder.iterdir() if path.name.startswith((".", "checkpoint"))]


def test_ctrl_c_during_the_gaussian_is_not_swallowed(tmp_path):
    folder, listener = tmp_path / "run", Listener("gaussian", 400)
    try:
        stopped = fit(out=folder, progress=listener).interrupted
    except KeyboardInterrupt:
        stopped = True
    assert stopped
    assert listener.stages == ["gaussian"]  # the flow was not begun as if nothing had happened
    assert read_record(folder)["status"] == "interrupted"


def test_ctrl_c_while_looking_for_a_start(tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        fit(out=folder, progress=Listener("start"))
    assert read_record(folder)["status"] == "interrupted"


def test_a_fit_that_fails_does_not_say_it_is_running(tmp_path, monkeypatch):
    def fail(self, gaussian, start, modes):
        raise ValueError("none of the steps could be taken")

    monkeypatch.setattr(Inference, "fit_flow", fail)
    with pytest.raises(ValueError, match="steps could be taken"):
        fit(out=tmp_path / "run")
    assert read_record(tmp_path / "run")["status"] == "failed"


def test_an_annealing_that_is_not_a_number_is_refused():
    with pytest.raises(ValueError, match="start ≥ 0"):
        fit(annealing=Annealing(math.nan, 100.0))
