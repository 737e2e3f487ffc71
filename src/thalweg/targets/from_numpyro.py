"""Targets from NumPyro models: sites become named parameters, with NumPyro's own transforms."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PRNGKeyArray

from thalweg import supports
from thalweg.parameters import Parameters
from thalweg.supports.support import Given, Shape, Support
from thalweg.targets.from_function import from_function
from thalweg.targets.target import Simulate, Target
from thalweg.targets.tracebacks import place, what

Model = Callable[..., Any]
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

    Every sample site that is not observed is a parameter of its name and shape; coordinates are
    those of NumPyro's transforms, so that the density is minus its potential energy. Its `simulate`
    draws the observed sites anew, by name, where there are any. Raises
    `ValueError` in one sentence, with the site's name, for a discrete site, a param site, a
    subsampled plate, a model without data (no site is observed and there is no factor), one
    without parameters, and one that raises; and where NumPyro is not installed.
    """
    try:
        from numpyro import handlers
        from numpyro.infer.initialization import init_to_uniform
        from numpyro.infer.util import log_density
    except ModuleNotFoundError as error:
        raise ValueError(
            f"a NumPyro model needs {error.name}: pip install 'thalweg[numpyro]'"
        ) from None
    name = getattr(model, "__name__", type(model).__name__)
    seeded = handlers.seed(model, rng_seed=0)

    def trace(given: Mapping[str, Any]) -> Mapping[str, Any]:
        def value(site: dict[str, Any]) -> Any:
            # Sites without a sampler, such as an improper uniform, get a value all the same.
            return given[site["name"]] if site["name"] in given else init_to_uniform(site)

        begun = handlers.substitute(seeded, substitute_fn=value)
        found: Mapping[str, Any] = handlers.trace(begun).get_trace(*args, **kwargs)
        return found

    try:
        first = trace({})
    except Exception as error:
        raise ValueError(f"the model {name!r} raised {what(error)}{place(error, model)}") from error
    sites = _latent(name, first)

    def support(label: str) -> Support:
        constraint = sites[label]["fn"].support
        known = _of_ours(constraint)
        if known is not None:
            return known
        return Site(constraint, lambda given: trace(given)[label]["fn"].support)

    shapes = {label: tuple(jnp.shape(one["value"])) for label, one in sites.items()}
    declared = Parameters(shapes, {label: support(label) for label in sites})

    def density(tree: Mapping[str, Any]) -> Array:
        return log_density(seeded, args, kwargs, dict(tree))[0]

    target = from_function(density, name=name, parameters=declared)
    return replace(target, source=NUMPYRO, simulate=_simulation(model, args, kwargs, first))


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


def _latent(name: str, trace: Mapping[str, Any]) -> dict[str, Any]:
    """The sites that are parameters, in their order; `ValueError` for what cannot be one."""
    found, data = {}, False
    for label, site in trace.items():
        if site["type"] == "param":
            raise ValueError(
                f"site {label!r} of the model {name!r} is a param, which has no distribution; give "
                "it a prior with numpyro.sample"
            )
        if site["type"] == "plate" and len(site["value"]) != site["args"][0]:
            raise ValueError(
                f"plate {label!r} of the model {name!r} is subsampled; a density needs all rows"
            )
        if site["type"] != "sample":
            continue
        if site["is_observed"]:
            data = True
        elif site["fn"].support.is_discrete:
            raise ValueError(
                f"site {label!r} of the model {name!r} is discrete; a flow needs continuous "
                "parameters: sum it out of the density"
            )
        else:
            found[label] = site
    if not found:
        raise ValueError(f"the model {name!r} has no parameters: every site is observed")
    if not data:
        listed = ", ".join(found)
        raise ValueError(
            f"the model {name!r} has no data: none of its sites ({listed}) is observed; pass the "
            "data as arguments after the model"
        )
    return found
