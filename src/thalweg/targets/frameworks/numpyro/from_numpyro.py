"""Targets from NumPyro models: sites become named parameters, with NumPyro's own transforms."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, PRNGKeyArray

from thalweg import supports
from thalweg.compiling import jit_once
from thalweg.parameters import Parameters
from thalweg.supports.support import Given, Shape, Support
from thalweg.targets.frameworks.agreement import disagreement, points_and_neighbours, sentence
from thalweg.targets.frameworks.numpyro.sites import BoundModel, Model, RefusedError
from thalweg.targets.from_function import from_function
from thalweg.targets.target import Simulate, Target
from thalweg.targets.traced import traced
from thalweg.tree import default_float

NUMPYRO = "a NumPyro model"


class Site(Support):
    """A support that thalweg has no name for, mapped by NumPyro's `biject_to`.

    `constraint_of` computes it from the sites before, on which its bounds may depend.
    """

    def __init__(self, constraint: Any, constraint_of: Callable[[Given], Any]):
        self.constraint = constraint
        # A constraint without numbers in it is the same wherever the others are.
        fixed = not jax.tree.leaves(constraint)
        self.constraint_of = (lambda given: constraint) if fixed else constraint_of

    def _transform(self, constraint: Any) -> Any:
        from numpyro.distributions import biject_to

        return biject_to(constraint)

    def free(self, shape: Shape) -> Shape:
        return tuple(self._transform(self.constraint).inverse_shape(shape))

    def constrain(
        self, u: Float[Array, "*free"], given: Given
    ) -> tuple[Float[Array, "*shape"], Float[Array, ""]]:
        transform = self._transform(self.constraint_of(given))
        x = transform(u)
        return x, jnp.sum(transform.log_abs_det_jacobian(u, x))

    def unconstrain(self, x: Float[Array, "*shape"], given: Given) -> Float[Array, "*free"]:
        return self._transform(self.constraint_of(given)).inv(x)

    def holds(self, x: Float[Array, "*shape"], given: Given) -> Bool[Array, ""]:
        return jnp.all(self.constraint_of(given)(x))

    def __str__(self) -> str:
        return f"{type(self.constraint).__name__.strip('_')} of NumPyro"


def from_numpyro(model: Model, *args: Any, **kwargs: Any) -> Target:
    """A target from a NumPyro model, called with these arguments, data among them.

    Every sample site that is not observed is a parameter of its name and shape; coordinates are
    those of NumPyro's transforms. That the density is minus NumPyro's potential energy is checked
    at random points. Its `simulate` draws the observed sites anew, by name, where there are any.
    Param sites are accepted where the density does not depend on them, as in modules with priors
    (`random_flax_module`).

    Args:
        model: The model's function, also within NumPyro's handlers.
        args: Its arguments.
        kwargs: Its keyword arguments.

    Returns:
        The target, of NumPyro's unconstrained coordinates.

    Raises:
        ValueError: A site, which is named, is discrete, a point mass, any other param site, of a
            subsampled plate, or of a support without a map; the density draws random numbers; the
            model has no data (no site is observed and there is no factor) or no parameters, or
            raises (with the line of the model); or NumPyro is not installed.

    Example:
        >>> import numpyro
        >>> import numpyro.distributions as dist
        >>> import thalweg as tw
        >>> def model(y):
        ...     rate = numpyro.sample("rate", dist.Gamma(2.0, 1.0))
        ...     numpyro.sample("y", dist.Poisson(rate), obs=y)
        >>> tw.targets.from_numpyro(model, 3).parameters.names
        ('rate',)
    """
    try:
        import numpyro  # noqa: F401
    except ModuleNotFoundError as error:
        raise ValueError(
            f"a NumPyro model needs {error.name}: pip install 'thalweg[numpyro]'"
        ) from None
    if not callable(model):
        raise ValueError(f"a NumPyro model is a function, got {type(model).__name__}")
    bound = BoundModel(model, args, kwargs)
    try:
        bound.run()
        target = _target(bound)
        _check(bound, target)
    except RefusedError as refused:
        raise ValueError(str(refused)) from refused.__cause__
    except BaseException as error:
        raise ValueError(bound.failure(error)) from error
    return replace(target, source=NUMPYRO, simulate=_simulation(bound))


def _target(model: BoundModel) -> Target:
    from numpyro.infer.util import log_density

    sites, seeded = model.parameters(), model.seeded()

    def support(label: str) -> Support:
        constraint = sites[label]["fn"].support
        known = _of_ours(constraint)
        return known or Site(constraint, lambda given: model.trace(given)[label]["fn"].support)

    shapes = {label: tuple(jnp.shape(one["value"])) for label, one in sites.items()}
    declared = Parameters(shapes, {label: support(label) for label in sites})

    @functools.wraps(model.call)  # so that an error is looked for in the model
    def density(tree: Mapping[str, Any]) -> Float[Array, ""]:
        return log_density(seeded, (), {}, dict(tree))[0]

    return from_function(density, name=model.name, parameters=declared)


@jit_once
def _one_by_one(function: Callable[[Array], Array], x: Float[ArrayLike, "n d"]) -> Array:
    """Return the function at each point, in one program and in turn: a model may have much data."""
    return jax.lax.map(function, jnp.asarray(x))


def _check(model: BoundModel, target: Target) -> None:
    """Raise `RefusedError` where the density is not minus NumPyro's potential energy.

    That one runs the model with the coordinates by site name, draws by another seed what has no
    given value, and maps them itself.
    """
    from numpyro import handlers
    from numpyro.infer.util import constrain_fn, log_density, potential_energy

    parameters = cast(Parameters, target.parameters)
    tree = parameters.constrain(jnp.asarray(points_and_neighbours(target.dim)[0, 0]))[0]

    def density_with(params: Mapping[str, Any]) -> Array:
        seeded = handlers.seed(handlers.substitute(model.call, data=dict(params)), rng_seed=0)
        return jit_once(lambda: log_density(seeded, (), {}, dict(tree))[0])()

    def differs(seed: int) -> Any:
        seeded = model.seeded(seed)

        def both(u: Array) -> Array:
            theirs = potential_energy(seeded, (), {}, parameters.pieces(u))
            return jnp.stack([target.log_density(u), -theirs])

        def evaluate(x: Float[np.ndarray, "n d"]) -> tuple[Array, Array]:
            ours, theirs = _one_by_one(traced(both, target.dim, default_float()), x).T
            return ours, theirs

        return disagreement(evaluate, target.dim)

    model.check_params(density_with)
    found = differs(1)
    if found is None:
        return
    if differs(0) is None:
        raise RefusedError(
            f"the density of the model {model.name!r} is random: it draws numbers that are none of "
            "its sites (dropout, numpyro.prng_key, a site under handlers.block)"
        )
    u = jnp.asarray(found.point, default_float())
    ours = parameters.by_name(parameters.constrain(u)[0])
    theirs = constrain_fn(model.seeded(1), (), {}, parameters.pieces(u))
    wrong = [label for label in ours if not jnp.allclose(ours[label], theirs[label], 1e-3, 1e-5)]
    where = f"; site {wrong[0]!r} has another value there" if wrong else ""
    raise RefusedError(sentence(found, f"the model {model.name!r}", "NumPyro", where))


def _simulation(model: BoundModel) -> Simulate | None:
    """Draws of the observed sites, given the parameters; None where only factors are observed."""
    from numpyro import handlers
    from numpyro.distributions import Unit

    observed = [
        label
        for label, site in model.sites.items()
        # A factor is an observed site too, of a distribution without numbers.
        if site["type"] == "sample" and site["is_observed"] and not isinstance(site["fn"], Unit)
    ]
    if not observed:
        return None

    @functools.wraps(model.call)  # so that an error is looked for in the model
    def simulate(key: PRNGKeyArray, tree: Mapping[str, Any]) -> dict[str, Array]:
        # Within `seed`, so that sites which are no longer observed get keys. The parameters are
        # put in by `substitute`, as what `condition` puts in would count as observed.
        anew = handlers.seed(handlers.uncondition(model.call), key)
        sites = handlers.trace(handlers.substitute(anew, data=dict(tree))).get_trace()
        return {label: jnp.asarray(sites[label]["value"]) for label in observed}

    return simulate


def _of_ours(constraint: Any) -> Support | None:
    """The support of the same name, whose map is the same; None where there is none."""
    from numpyro.distributions import constraints as theirs

    while isinstance(constraint, theirs.independent):
        constraint = constraint.base_constraint
    same = (
        (theirs.real, supports.real),
        (theirs.positive, supports.positive),
        (theirs.unit_interval, supports.unit_interval),
        (theirs.simplex, supports.simplex),
        (theirs.ordered_vector, supports.ordered),
        (theirs.positive_ordered_vector, supports.positive_ordered),
        (theirs.lower_cholesky, supports.cholesky),
        (theirs.corr_cholesky, supports.correlation_cholesky),
    )
    return next((ours for their, ours in same if constraint is their), None)
