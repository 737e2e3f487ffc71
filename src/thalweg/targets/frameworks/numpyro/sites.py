"""The sites of a NumPyro model: which are parameters, where they are written, what is wrong."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from thalweg.targets.tracebacks import (
    format_line,
    place,
    source_file,
    unwrap,
    what,
    written_by_user,
)

Model = Callable[..., Any]


class RefusedError(Exception):
    """The fault of a model, as a sentence for the user."""


class BoundModel:
    """A model with its arguments: `call` takes none. `lines` are where its sites are written."""

    def __init__(self, model: Model, args: tuple[Any, ...], kwargs: dict[str, Any]):
        self.call = functools.partial(model, *args, **kwargs)
        inner = unwrap(model)
        self.name = str(getattr(inner, "__name__", type(inner).__name__))
        self.lines: dict[str, tuple[int, str]] = {}
        self.sites: dict[str, Any] = {}

    def seeded(self, seed: int = 0) -> Model:
        """The model with a generator of its own for what is drawn."""
        from numpyro import handlers

        seeded: Model = handlers.seed(self.call, rng_seed=seed)
        return seeded

    def trace(self, given: Mapping[str, Any], model: Model | None = None) -> dict[str, Any]:
        """The sites at these values; at ones of NumPyro's choice where none are given."""
        from numpyro import handlers
        from numpyro.infer.initialization import init_to_uniform

        def value(site: dict[str, Any]) -> Any:
            if site["name"] in given:
                return given[site["name"]]
            if site["type"] == "sample" and not site["is_observed"] and site["value"] is not None:
                raise self.refused(
                    site["name"],
                    "has been given a value by handlers.substitute and would be a parameter all "
                    "the same; use handlers.condition",
                )
            # Sites without a sampler, such as an improper uniform, get a value all the same.
            return init_to_uniform(site)

        begun = handlers.substitute(model or self.seeded(), substitute_fn=value)
        found: dict[str, Any] = handlers.trace(begun).get_trace()
        return found

    def run(self) -> None:
        """Run the model once, and keep its `sites` and their `lines`."""
        from numpyro import handlers
        from numpyro.primitives import Messenger

        own, lines = source_file(self.call), self.lines

        class Lines(Messenger):  # type: ignore[misc]
            def process_message(self, message: Any) -> None:
                frame: Any = sys._getframe()
                while frame is not None:
                    file = frame.f_code.co_filename
                    if file == own or written_by_user(file):
                        lines[message.get("name")] = frame.f_lineno, file
                        return
                    frame = frame.f_back

        self.sites = self.trace({}, handlers.seed(Lines(self.call), rng_seed=0))

    def refused(self, label: str, fault: str, more: str = "", kind: str = "site") -> RefusedError:
        """The error for a site: its name, the fault, the line of the model, and more."""
        line = format_line(*self.lines[label]) if label in self.lines and more else ""
        return RefusedError(f"{kind} {label!r} of the model {self.name!r} {fault}{line}{more}")

    def parameters(self) -> dict[str, Any]:
        """The sites that are parameters, in their order; `RefusedError` for what cannot be one."""
        found = {}
        samples = {label: one for label, one in self.sites.items() if one["type"] == "sample"}
        for label, site in self.sites.items():
            if site["type"] == "plate" and len(site["value"]) != site["args"][0]:
                raise self.refused(label, "is subsampled", "; a density needs all rows", "plate")
        for label, site in samples.items():
            if not site["is_observed"]:
                self._check_parameter(label, site)
                found[label] = site
        if not found:
            for label, site in self.sites.items():
                if site["type"] == "param":
                    raise self.refused_param(label)
            raise RefusedError(f"the model {self.name!r} has no parameters: every site is observed")
        if len(found) == len(samples):
            raise RefusedError(
                f"the model {self.name!r} has no data: none of its sites ({', '.join(found)}) is "
                "observed; pass the data as arguments after the model"
            )
        if all(0 in jnp.shape(site["value"]) for site in found.values()):
            raise RefusedError(
                f"the model {self.name!r} has no parameters: its sites are of size 0"
            )
        return found

    def _check_parameter(self, label: str, site: Mapping[str, Any]) -> None:
        from numpyro.distributions import Delta, biject_to

        inner, support = site["fn"], site["fn"].support
        while hasattr(inner, "base_dist"):  # batches and events of one
            inner = inner.base_dist
        if support.is_discrete:
            advice = "; a flow needs continuous parameters: sum it out of the density"
            raise self.refused(label, "is discrete", advice)
        if isinstance(inner, Delta):
            advice = ", which has no density; write numpyro.deterministic"
            raise self.refused(label, "is a point mass", advice)
        try:
            biject_to(support).inverse_shape(jnp.shape(site["value"]))
        except Exception as error:
            raise self.refused(
                label,
                f"has the support {type(support).__name__.strip('_')}",
                f", onto which NumPyro has no map from free numbers ({what(error)})",
            ) from error

    def refused_param(self, label: str) -> RefusedError:
        """The error for a param site, which is no parameter of a density."""
        advice = ", which has no distribution; give it a prior with numpyro.sample"
        return self.refused(label, "is a param", advice)

    def check_params(self, density_with: Callable[[Mapping[str, Any]], Any]) -> None:
        """Raise `RefusedError` for a param site on whose value the density depends.

        It does not where a module has been given priors (`random_flax_module`): its param site only
        remembers the shapes. `density_with` is the density with other values for param sites.
        """
        for label, site in self.sites.items():
            if site["type"] == "param" and jax.tree.leaves(site["value"]):
                other = {label: jax.tree.map(_another, site["value"])}
                if not jnp.array_equal(density_with({}), density_with(other), equal_nan=True):
                    raise self.refused_param(label)

    def failure(self, error: BaseException) -> str:
        """The sentence for a model that raised, with the line of the user's that it came from.

        Values that do not fit their distribution only fail when the density is computed, after the
        model has run: the line is then that of the site.
        """
        raised, where = what(error), place(error, self.call)
        for label, site in ({} if where else self.sites).items():
            if site["type"] != "sample":
                continue
            shape, wanted = jnp.shape(site["value"]), tuple(site["fn"].shape())
            try:
                jax.eval_shape(site["fn"].log_prob, site["value"])
                jnp.broadcast_shapes(shape, wanted)
            except Exception as own:
                clash = f"a value of shape {shape} does not fit a distribution of shape {wanted}"
                reason = clash if shape != wanted else what(own)
                return str(self.refused(label, "has no density", f": {reason}"))
        return f"the model {self.name!r} raised {raised}{where}"


def _another(leaf: Any) -> Any:
    inexact = jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)
    return 1.5 * jnp.asarray(leaf) + 0.25 if inexact else leaf
