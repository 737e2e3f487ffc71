"""Targets from NumPyro models: sites become named parameters, with NumPyro's own transforms."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PRNGKeyArray

from thalweg import supports
from thalweg.compiling import jit_once
from thalweg.parameters import Parameters
from thalweg.supports.support import Given, Shape, Support
from thalweg.targets.frameworks.agreement import (
    Evaluate,
    disagreement,
    points_and_neighbours,
    sentence,
)
from thalweg.targets.frameworks.numpyro.sites import (
    Model,
    RefusedError,
    Trace,
    latent,
    lines_of_sites,
    model_name,
    param_sentence,
    refusal,
    settled_by_samples,
)
from thalweg.targets.from_function import from_function
from thalweg.targets.target import Simulate, Target
from thalweg.tree import default_float

NUMPYRO = "a NumPyro model"


class Site(Support):
    """A support that thalweg has no name for, mapped by NumPyro's `biject_to`.

    `constraint_of` works it out from the sites before, on which its bounds may depend.
    """

    def __init__(self, constraint: Any, constraint_of: Callable[[Given], Any]):
        self.constraint = constraint
        # A constraint without numbers in it is the same wherever the others are.
        self.fixed = not jax.tree.leaves(constraint)
        self.constraint_of = constraint_of

    def _transform(self, given: Given) -> Any:
        from numpyro.distributions import biject_to

        return biject_to(self.constraint if self.fixed else self.constraint_of(given))

    def free(self, shape: Shape) -> Shape:
        from numpyro.distributions import biject_to

        return tuple(biject_to(self.constraint).inverse_shape(shape))

    def constrain(self, u: Array, given: Given) -> tuple[Array, Array]:
        transform = self._transform(given)
        x = transform(u)
        return x, jnp.sum(transform.log_abs_det_jacobian(u, x))

    def unconstrain(self, x: Array, given: Given) -> Array:
        return self._transform(given).inv(x)

    def holds(self, x: Array, given: Given) -> Bool[Array, ""]:
        constraint = self.constraint if self.fixed else self.constraint_of(given)
        return jnp.all(constraint(x))

    def __str__(self) -> str:
        return f"{type(self.constraint).__name__.strip('_')} of NumPyro"


def from_numpyro(model: Model, *args: Any, **kwargs: Any) -> Target:
    """A target from a NumPyro model, called with these arguments, data among them.

    Every sample site that is not observed is a parameter of its name, whatever is in it, and of its
    shape; coordinates are those of NumPyro's transforms. That the density is minus NumPyro's
    potential energy is checked at random points. Its `simulate` draws the observed sites anew, by
    name, where there are any. Param sites are let be where the density does not depend on them, as
    in modules with priors (`random_flax_module`). Raises
    `ValueError` in one sentence, with the site's name, for a discrete site, any other param site, a
    subsampled plate, a support without a map, a density with random numbers in it, a model without
    data (no site is observed and there is no factor), one without parameters, and one that raises,
    with the model's line; and where NumPyro is not installed.
    """
    try:
        from numpyro import handlers
    except ModuleNotFoundError as error:
        raise ValueError(
            f"a NumPyro model needs {error.name}: pip install 'thalweg[numpyro]'"
        ) from None
    if not callable(model):
        raise ValueError(f"a NumPyro model is a function, got {type(model).__name__}")
    name = model_name(model)
    noted, lines = lines_of_sites(model)
    seeded = handlers.seed(model, rng_seed=0)
    first: Trace | None = None
    try:
        first = _trace(handlers.seed(noted, rng_seed=0), args, kwargs, {})
        sites = latent(name, first, lines)
        target = _target(model, name, seeded, args, kwargs, sites)
        _check(model, target, name, args, kwargs, first, lines)
    except KeyboardInterrupt:
        raise
    except RefusedError as refused:
        raise ValueError(str(refused)) from refused.__cause__
    except BaseException as error:
        raise ValueError(refusal(model, name, error, first, lines)) from error
    return replace(target, source=NUMPYRO, simulate=_simulation(model, args, kwargs, first))


def _trace(
    model: Model, args: tuple[Any, ...], kwargs: dict[str, Any], given: Mapping[str, Any]
) -> Trace:
    """The sites of a seeded model at these values; at ones of NumPyro's choice where none are."""
    from numpyro import handlers
    from numpyro.infer.initialization import init_to_uniform

    def value(site: dict[str, Any]) -> Any:
        label = site["name"]
        if label in given:
            return given[label]
        if site["type"] == "sample" and not site["is_observed"] and site["value"] is not None:
            raise RefusedError(
                f"site {label!r} of the model {model_name(model)!r} has been given a value by "
                "handlers.substitute and would be a parameter all the same; use handlers.condition"
            )
        # Sites without a sampler, such as an improper uniform, get a value all the same.
        return init_to_uniform(site)

    begun = handlers.substitute(model, substitute_fn=value)
    found: Trace = handlers.trace(begun).get_trace(*args, **kwargs)
    return found


def _target(
    model: Model,
    name: str,
    seeded: Model,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    sites: Mapping[str, Any],
) -> Target:
    from numpyro.infer.util import log_density

    def support(label: str) -> Support:
        constraint = sites[label]["fn"].support
        known = _of_ours(constraint)
        if known is not None:
            return known
        return Site(
            constraint, lambda given: _trace(seeded, args, kwargs, given)[label]["fn"].support
        )

    shapes = {label: tuple(jnp.shape(one["value"])) for label, one in sites.items()}
    declared = Parameters(shapes, {label: support(label) for label in sites})

    @functools.wraps(model)  # so that an error is looked for in the model
    def density(tree: Mapping[str, Any]) -> Array:
        return log_density(seeded, args, kwargs, dict(tree))[0]

    return from_function(density, name=name, parameters=declared)


def _check(
    model: Model,
    target: Target,
    name: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    first: Trace,
    lines: Mapping[str, tuple[int, str]],
) -> None:
    """`RefusedError` where the density is not minus NumPyro's potential energy.

    That one runs the model with the coordinates by site name, draws by another seed what nobody has
    given a value, and maps them itself.
    """
    from numpyro import handlers
    from numpyro.infer.util import constrain_fn, log_density, potential_energy

    parameters = cast(Parameters, target.parameters)

    def by_seed(seed: int) -> Callable[[Array], Array]:
        seeded = handlers.seed(model, rng_seed=seed)
        return lambda u: -potential_energy(seeded, args, kwargs, parameters.pieces(u))

    def beside(theirs: Callable[[Array], Array]) -> Evaluate:
        # In one program, and point by point: a model may have much data.
        return jit_once(lambda x: jax.lax.map(lambda u: (target.log_density(u), theirs(u)), x))

    tree = parameters.constrain(jnp.asarray(points_and_neighbours(target.dim)[0, 0]))[0]

    def density_with(params: Mapping[str, Any]) -> Array:
        seeded = handlers.seed(handlers.substitute(model, data=dict(params)), rng_seed=0)
        return jit_once(lambda: log_density(seeded, args, kwargs, dict(tree))[0])()

    for label, settled in settled_by_samples(first, density_with).items():
        if not settled:
            raise RefusedError(param_sentence(label, name, lines))

    found = disagreement(beside(by_seed(1)), target.dim)
    if found is not None:
        if disagreement(beside(by_seed(0)), target.dim) is None:
            raise RefusedError(
                f"the density of the model {name!r} is random: it draws numbers that are none of "
                "its sites (dropout, numpyro.prng_key, a site under handlers.block)"
            )
        u = jnp.asarray(found.point, default_float())
        ours = parameters.by_name(parameters.constrain(u)[0])
        theirs = constrain_fn(handlers.seed(model, rng_seed=1), args, kwargs, parameters.pieces(u))
        wrong = [
            label
            for label in ours
            if not jnp.allclose(ours[label], theirs[label], rtol=1e-3, atol=1e-5)
        ]
        where = f"; site {wrong[0]!r} has another value there" if wrong else ""
        raise RefusedError(sentence(found, f"the model {name!r}", "NumPyro", where))


def _simulation(
    model: Model, args: tuple[Any, ...], kwargs: dict[str, Any], trace: Mapping[str, Any]
) -> Simulate | None:
    """Draws what was observed anew, given the parameters; None where only factors were."""
    from numpyro import handlers
    from numpyro.distributions import Unit

    observed = [
        label
        for label, site in trace.items()
        # A factor is an observed site too, of a distribution without numbers.
        if site["type"] == "sample" and site["is_observed"] and not isinstance(site["fn"], Unit)
    ]
    if not observed:
        return None

    @functools.wraps(model)  # so that an error is looked for in the model
    def simulate(key: PRNGKeyArray, tree: Mapping[str, Any]) -> dict[str, Array]:
        # Within `seed`, so that sites which are no longer observed get keys. The parameters are
        # put in by `substitute`, as what `condition` puts in would count as observed.
        anew = handlers.seed(handlers.uncondition(model), key)
        run = handlers.trace(handlers.substitute(anew, data=dict(tree)))
        sites = run.get_trace(*args, **kwargs)
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
