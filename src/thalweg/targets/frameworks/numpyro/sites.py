"""The sites of a NumPyro model: which are parameters, where they stand, what is wrong with them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from thalweg.targets.tracebacks import place, said, source_file, what, written_by_user

Model = Callable[..., Any]
Trace = Mapping[str, Any]


class RefusedError(Exception):
    """What is wrong with a model, as a sentence for the user."""


def model_name(model: Model) -> str:
    """The name of a model's function, also of one within handlers or with some arguments given."""
    inner: Any = model
    for _ in range(20):
        further = getattr(inner, "fn", None) or getattr(inner, "func", None)
        if hasattr(inner, "__name__") or further is None:
            break
        inner = further
    return str(getattr(inner, "__name__", type(inner).__name__))


def lines_of_sites(model: Model) -> tuple[Model, dict[str, tuple[int, str]]]:
    """The model, and a dictionary that fills with line and file of each site when it runs."""
    from numpyro.primitives import Messenger

    own, found = source_file(model), dict[str, tuple[int, str]]()

    class Lines(Messenger):  # type: ignore[misc]
        def process_message(self, message: Any) -> None:
            frame: Any = sys._getframe()
            while frame is not None:
                file = frame.f_code.co_filename
                if file == own or written_by_user(file):
                    found[message.get("name")] = frame.f_lineno, file
                    return
                frame = frame.f_back

    return Lines(model), found


def latent(name: str, trace: Trace, lines: Mapping[str, tuple[int, str]]) -> dict[str, Any]:
    """The sites that are parameters, in their order; `RefusedError` for what cannot be one."""
    found, data = {}, False
    for label, site in trace.items():
        where = said(*lines[label]) if label in lines else ""
        if site["type"] == "plate" and len(site["value"]) != site["args"][0]:
            raise RefusedError(
                f"plate {label!r} of the model {name!r} is subsampled{where}; a density needs all "
                "rows"
            )
        if site["type"] != "sample":
            continue
        if site["is_observed"]:
            data = True
        elif site["fn"].support.is_discrete:
            raise RefusedError(
                f"site {label!r} of the model {name!r} is discrete{where}; a flow needs continuous "
                "parameters: sum it out of the density"
            )
        elif _is_point_mass(site["fn"]):
            raise RefusedError(
                f"site {label!r} of the model {name!r} is a point mass{where}, which has no "
                "density; write numpyro.deterministic"
            )
        else:
            _check_transform(name, label, site, where)
            found[label] = site
    if not found:
        params = [label for label, site in trace.items() if site["type"] == "param"]
        if params:
            raise RefusedError(param_sentence(params[0], name, lines))
        raise RefusedError(f"the model {name!r} has no parameters: every site is observed")
    if not data:
        listed = ", ".join(found)
        raise RefusedError(
            f"the model {name!r} has no data: none of its sites ({listed}) is observed; pass the "
            "data as arguments after the model"
        )
    if all(0 in jnp.shape(site["value"]) for site in found.values()):
        raise RefusedError(f"the model {name!r} has no parameters: its sites are of size 0")
    return found


def param_sentence(label: str, name: str, lines: Mapping[str, tuple[int, str]]) -> str:
    """Says that a param site is no parameter of a density."""
    where = said(*lines[label]) if label in lines else ""
    return (
        f"site {label!r} of the model {name!r} is a param{where}, which has no distribution; give "
        "it a prior with numpyro.sample"
    )


def _is_point_mass(distribution: Any) -> bool:
    from numpyro.distributions import Delta

    inner = distribution
    while hasattr(inner, "base_dist"):  # batches and events of one
        inner = inner.base_dist
    return isinstance(inner, Delta)


def _check_transform(name: str, label: str, site: Mapping[str, Any], where: str) -> None:
    from numpyro.distributions import biject_to

    support = site["fn"].support
    try:
        biject_to(support).inverse_shape(jnp.shape(site["value"]))
    except Exception as error:
        kind = type(support).__name__.strip("_")
        raise RefusedError(
            f"site {label!r} of the model {name!r} has the support {kind}{where}, onto which "
            f"NumPyro has no map from free numbers ({what(error)})"
        ) from error


def settled_by_samples(
    trace: Trace, density_with: Callable[[Mapping[str, Any]], Any]
) -> dict[str, bool]:
    """For each param site, whether the density is the same whatever its value.

    So it is where a module has been given priors (`random_flax_module`): its param site only
    remembers the shapes. `density_with` is the density with other values for param sites.
    """
    own = {label: site["value"] for label, site in trace.items() if site["type"] == "param"}
    settled = {}
    for label, value in own.items():
        if not jax.tree.leaves(value):
            settled[label] = True
            continue
        first, other = density_with({}), density_with({label: jax.tree.map(_another, value)})
        settled[label] = bool(jnp.array_equal(first, other, equal_nan=True))
    return settled


def _another(leaf: Any) -> Any:
    inexact = jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)
    return 1.5 * jnp.asarray(leaf) + 0.25 if inexact else leaf


def refusal(
    model: Model,
    name: str,
    error: BaseException,
    trace: Trace | None,
    lines: Mapping[str, tuple[int, str]],
) -> str:
    """What is wrong with a model that raised, with the line of the user's that it came from.

    Values that do not fit their distribution only fail when the density is computed, after the
    model has run: the line is then that of the site.
    """
    where = place(error, model)
    for label, site in ({} if trace is None or where else trace).items():
        if site["type"] != "sample":
            continue
        try:
            jax.eval_shape(site["fn"].log_prob, site["value"])
            jnp.broadcast_shapes(jnp.shape(site["value"]), tuple(site["fn"].shape()))
        except Exception as own:
            line = said(*lines[label]) if label in lines else ""
            shape, wanted = jnp.shape(site["value"]), tuple(site["fn"].shape())
            reason = (
                f"a value of shape {shape} does not fit a distribution of shape {wanted}"
                if shape != wanted
                else what(own)
            )
            return f"site {label!r} of the model {name!r} has no density{line}: {reason}"
    return f"the model {name!r} raised {what(error)}{where}"
