"""Sentences under a table on how latent models were fitted and evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def recipe_of(options: Mapping[str, Any]) -> str:
    """Return a sentence on how the models of a comparison were fitted."""
    *widths, last = options["hidden"]
    if options.get("network") == "convolutional":
        inside = f"gated convolutions of {' and '.join(map(str, widths))} channels, {last} features"
    else:
        inside = f"layers of {' and '.join(map(str, (*widths, last)))} units"
        inside += f" ({options['nonlinearity']})"
    rate = f"{options['learning_rate']:g}"
    optimiser = (
        f"RMSprop with momentum at {rate}"
        if options.get("optimiser") == "rmsprop"
        else f"Adam from {rate} down to a hundredth of it"
    )
    annealed = "the joint density" if options.get("annealed") == "likelihood" else "the KL term"
    prior = f" with a prior by {options['prior']}" if "prior" in options else ""
    sentence = (
        f"{options['latent']} latent variables{prior}, {inside}, parameters of the flow amortised; "
        f"{options['steps']} steps of {options['batch_size']} images, {optimiser}, {annealed} "
        f"rising for {options['warm_up']:.0%} of the steps; "
    )
    if options["drop"]:
        sentence += (
            f"{options['drop']:.0%} of the numbers of an image hidden from the encoder at the "
            "first step, none at the last; "
        )
    if options["augment"]:
        sentence += (
            f"{options['augment']:.0%} of the images slanted and moved a little at the first step, "
            "none at the last; "
        )
    return sentence + "the parameters that are best on the validation set."


def losses_of(gaps: int) -> str:
    """Return sentences on the parts of the inference gap."""
    return (
        f"Parts of the inference gap, on {gaps} of them: normals were fitted to the posterior of "
        "each image without an encoder. The gain of the best diagonal one over q is the loss of "
        "the encoder (negative where the flow gains more), the further gain of the best normal is "
        "the loss of diagonal ones, and ln p(x) by draws from it exceeds its bound by the rest "
        "(Cremer et al. 2018)."
    )


def evaluation_of(draws: int, rows: int | None, few: int | None) -> str:
    """Return a sentence on how ln p(x) was estimated."""
    if few is None:
        return f"ln p(x) of {'all' if rows is None else rows} test images from {draws} draws each."
    return (
        f"ln p(x) of all test images from {few} draws each, plus what {draws} draws add to it on "
        f"{rows} of them; bounds of all."
    )
