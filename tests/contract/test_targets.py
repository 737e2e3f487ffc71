"""The contract of targets; a new one is tested once it is in the registry."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg import targets
from thalweg.targets.registry import TARGETS

# A grid of x = ε sinh(u), so that one grid serves a funnel's neck near 0, modes at ±40, curves to
# ±200 and tails to 10⁵. Where the density is smooth the trapezoid rule converges exponentially;
# ±4 are nodes because walls stand there.
EPSILON = 0.02
STEP = np.arcsinh(4 / EPSILON) / 300
U = STEP * np.arange(-800, 801)
X, DX = EPSILON * np.sinh(U), EPSILON * np.cosh(U) * STEP

SPREAD, SLOPES = 64, 8
SLOPE_STEP = 1e-5


def takes_dim(name):
    return "dim" in TARGETS[name].options


def of_dim(name, dim):
    if not takes_dim(name):
        return targets.get(name)
    try:
        return targets.get(name, dim=dim)
    except ValueError:
        return None


@functools.cache
def quadrature(name, dim):
    """ln Z, and masses on the grid of the normalised density."""
    density = jax.vmap(of_dim(name, dim).log_density)
    if dim == 1:
        log_p = np.asarray(jax.jit(density)(X[:, None]))
        mass = DX * np.exp(log_p)
    else:

        def row(x1):
            return density(jnp.stack([jnp.full(X.shape, x1), jnp.asarray(X)], -1))

        log_p = np.array(jax.jit(lambda: jax.lax.map(row, jnp.asarray(X)))())
        mass = np.exp(log_p, out=log_p)
        mass *= DX
        mass *= DX[:, None]
    z = mass.sum()
    mass /= z
    return np.log(z), mass


def count(dim):
    return 60_000 if dim <= 2 else 10_000


@functools.cache
def sampler(name, dim):
    return jax.jit(functools.partial(of_dim(name, dim).sample, n=count(dim)))


@functools.cache
def draws(name, dim):
    return np.asarray(sampler(name, dim)(jax.random.key(3)))


@functools.cache
def evaluated(name, dim):
    """Points, values, gradients: draws; the origin; points near and far; pairs for slopes.

    All in one compiled batch, for compiling is what these tests spend their time on.
    """
    target, x = of_dim(name, dim), draws(name, dim)
    noise = np.random.default_rng(5).normal(size=(SPREAD, dim))
    shifts = SLOPE_STEP * np.concatenate([np.eye(dim), -np.eye(dim)])
    pairs = (x[:SLOPES, None] + shifts).reshape(-1, dim)
    points = np.concatenate([x, np.zeros((1, dim)), noise, 10 * noise, pairs])
    values, gradients = jax.jit(jax.vmap(jax.value_and_grad(target.log_density)))(points)
    return points, np.asarray(values), np.asarray(gradients)


def sizes(name):
    """The dimensions a target is tried in: its own, and two."""
    return sorted({targets.get(name).dim, of_dim(name, 2).dim})


CASES = [(n, d) for n in targets.names() for d in (1, 2) if of_dim(n, d) and of_dim(n, d).dim == d]
every = pytest.mark.parametrize("name", targets.names())
on_the_grid = pytest.mark.parametrize(("name", "dim"), CASES)
in_its_sizes = pytest.mark.parametrize(
    ("name", "dim"), [(n, d) for n in targets.names() for d in sizes(n)]
)


def test_the_grid_integrates_a_normal_density():
    log_z, mass = quadrature("standard_normal", 2)
    assert log_z == pytest.approx(0, abs=1e-12)
    assert mass[:, X > 1].sum() == pytest.approx(0.15865525, abs=5e-3)


@on_the_grid
def test_log_z_is_the_integral(name, dim):
    target = of_dim(name, dim)
    log_z, _ = quadrature(name, dim)
    # A wall's kinks cost the grid 2e-6, though they are nodes.
    assert target.log_z == pytest.approx(log_z, abs=5e-6)


@on_the_grid
def test_mean_and_covariance_are_the_integrals(name, dim):
    target = of_dim(name, dim)
    _, mass = quadrature(name, dim)
    margins = [mass] if dim == 1 else [mass.sum(1), mass.sum(0)]
    mean = np.array([m @ X for m in margins])
    second = np.diag([m @ X**2 for m in margins])
    if dim == 2:
        second[0, 1] = second[1, 0] = X @ mass @ X
    np.testing.assert_allclose(target.mean, mean, atol=1e-5)
    scale = np.sqrt(np.outer(np.diag(target.covariance), np.diag(target.covariance)))
    # Cut at 10⁵, a Student-t of 3 degrees of freedom lacks 1e-5 of its variance.
    np.testing.assert_allclose(
        target.covariance / scale, (second - np.outer(mean, mean)) / scale, atol=5e-5
    )


@on_the_grid
def test_the_box_holds_nearly_all_mass(name, dim):
    target = of_dim(name, dim)
    _, mass = quadrature(name, dim)
    inside = [(low <= X) & (high >= X) for low, high in target.box]
    held = mass[inside[0]].sum() if dim == 1 else mass[np.ix_(*inside)].sum()
    assert held > 0.97


def bins(margin, n=12):
    """Where bins of about equal mass begin, as nodes and as the borders midway between nodes."""
    first = np.unique(np.searchsorted(np.cumsum(margin), np.arange(1, n) / n)) + 1
    return np.array([0, *first]), EPSILON * np.sinh((U[first - 1] + U[first]) / 2)


@on_the_grid
@pytest.mark.few(8)
def test_draws_fall_in_each_bin_as_often_as_they_should(name, dim):
    """A χ² test on up to 144 bins: what a wrong weight of a mode or a wrong bound changes."""
    _, mass = quadrature(name, dim)
    x = draws(name, dim)
    cells = np.zeros(len(x), int)
    p = mass
    for axis in range(dim):
        first, borders = bins(mass.sum(tuple(a for a in range(dim) if a != axis)))
        cells = cells * len(first) + np.searchsorted(borders, x[:, axis])
        p = np.add.reduceat(p, first, axis)
    p = p.ravel()
    observed = np.bincount(cells, minlength=p.size)
    common = p * len(x) > 10
    expected = len(x) * np.append(p[common], p[~common].sum())
    observed = np.append(observed[common], observed[~common].sum())
    chi = np.sum((observed - expected) ** 2 / np.maximum(expected, 1))
    df = common.sum()
    assert chi < df + 4.5 * np.sqrt(2 * df)


@in_its_sizes
def test_draws_obey_steins_identity(name, dim):
    """E[x ∇ln p̃ᵀ] = −I and E[∇ln p̃] = 0 tie the draws to the density, whatever its constant."""
    points, _, gradients = evaluated(name, dim)
    n = count(dim)
    x, score = points[:n] - of_dim(name, dim).mean, gradients[:n]
    assert np.all(np.abs(score.mean(0)) < 5 * score.std(0) / np.sqrt(n))
    outer = x.T @ score / n
    error = np.sqrt(((x**2).T @ score**2 / n - outer**2) / n)
    assert np.all(np.abs(outer + np.eye(dim)) < 5.5 * error)


@in_its_sizes
def test_draws_have_the_stated_mean(name, dim):
    x = draws(name, dim)
    error = x.std(0) / np.sqrt(len(x))
    # 4 standard errors for a handful of coordinates, a little more for 50.
    limit = 4 + 0.01 * dim
    assert np.all(np.abs(x.mean(0) - of_dim(name, dim).mean) < limit * error)


@in_its_sizes
@pytest.mark.few(6)
def test_draws_are_a_function_of_the_key(name, dim):
    first = draws(name, dim)
    again, other = (sampler(name, dim)(jax.random.key(seed)) for seed in (3, 4))
    assert first.shape == (count(dim), dim)
    np.testing.assert_array_equal(first, again)
    assert not np.any(np.all(first == other, 1))
    assert len(np.unique(first[:, 0])) > 0.99 * count(dim)


@in_its_sizes
def test_values_and_gradients_are_finite(name, dim):
    """At the origin, where a norm has no derivative, at draws and at points near and far."""
    _, values, gradients = evaluated(name, dim)
    assert np.all(np.isfinite(values))
    assert np.all(np.isfinite(gradients))


@in_its_sizes
def test_gradients_equal_finite_differences(name, dim):
    _, values, gradients = evaluated(name, dim)
    up, down = np.moveaxis(values[-2 * dim * SLOPES :].reshape(SLOPES, 2, dim), 1, 0)
    slopes = (up - down) / (2 * SLOPE_STEP)
    np.testing.assert_allclose(slopes, gradients[:SLOPES], rtol=1e-5, atol=1e-5)


@in_its_sizes
def test_facts_have_the_shapes_of_the_dimension(name, dim):
    target = of_dim(name, dim)
    assert target.name == name
    assert target.dim == dim
    assert target.mean.shape == (dim,)
    assert target.covariance.shape == (dim, dim)
    np.testing.assert_allclose(target.covariance, target.covariance.T, rtol=1e-12)
    assert np.all(np.linalg.eigvalsh(target.covariance) > 0)
    assert len(target.box) == len(target.parameter_names) == dim
    assert len(set(target.parameter_names)) == dim
    assert all(low < high for low, high in target.box)
    assert isinstance(target.log_z, float)
    assert target.source
    assert target.modes is None or target.modes.shape[1:] == (dim,)


@every
def test_listed_modes_are_near_the_top(name):
    """The slope at each listed centre is what other modes' tails leave of it."""
    target = of_dim(name, 2)
    if target.modes is None:
        return
    slopes = jax.jit(jax.vmap(jax.grad(target.log_density)))(target.modes)
    away = target.modes[:, None] - target.modes[None]
    nearest = np.min(np.linalg.norm(away, axis=-1) + 1e9 * np.eye(len(target.modes)), 1)
    alone = nearest > 5
    assert np.all(np.abs(np.asarray(slopes)[alone]) < 1e-3)


@in_its_sizes
def test_float32_in_float32_out(name, dim):
    points, values, _ = evaluated(name, dim)
    single = jax.jit(jax.vmap(of_dim(name, dim).log_density))(np.float32(points[:16]))
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, values[:16], rtol=1e-3, atol=1e-3)


@every
def test_it_passes_the_check_of_user_targets(name):
    target = targets.get(name)
    points = np.random.default_rng(0).normal(size=(32, target.dim))
    assert targets.check_target(target, points).all()


@every
def test_a_target_has_a_name_and_its_options(name):
    entry = TARGETS[name]
    assert entry.description
    assert "\n" not in entry.description
    target = targets.get(name)
    assert target.options == entry.options
    assert entry.make.__name__ == name


@pytest.mark.parametrize("name", [n for n in targets.names() if takes_dim(n)])
def test_dimensions_that_are_not_positive_whole_numbers_are_refused(name):
    for bad in (0, -2, 2.0, "2", True, None):
        with pytest.raises(ValueError, match="dim must be a whole number"):
            targets.get(name, dim=bad)


@pytest.mark.parametrize("name", [n for n in targets.names() if takes_dim(n)])
def test_dimensions_may_be_numpy_integers(name):
    assert type(targets.get(name, dim=np.int64(4)).dim) is int
