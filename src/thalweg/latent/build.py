"""A fresh latent model for data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg import flows
from thalweg.argument_checks import MOST_UNITS, check_whole_number, check_whole_numbers
from thalweg.distributions import Distribution, StandardNormal
from thalweg.latent.decoder import Decoder, DeepDecoder
from thalweg.latent.likelihoods import LIKELIHOODS
from thalweg.latent.model import AnyDecoder, Encoder, LatentModel, linear_start
from thalweg.nets.features import Features
from thalweg.nets.gated_convolution import ConvolutionalDecoder, ConvolutionalFeatures

NO_FLOW, NORMAL = "none", "normal"
NETWORKS = {"dense": (300, 300), "convolutional": (32, 64, 256)}  # and what `hidden` is there


def check_latent(latent: object) -> tuple[int, ...]:
    """Return the number of latent variables of each stochastic layer, one layer for an int."""
    if isinstance(latent, Sequence) and len(latent):
        return check_whole_numbers("latent", latent, most=MOST_UNITS)
    return (check_whole_number("latent", latent, most=MOST_UNITS),)


def build(
    key: PRNGKeyArray,
    mean: Float[Array, " n"],
    spread: Float[Array, " n"],
    *,
    latent: int | Sequence[int] = 40,
    flow: str = "planar",
    amortised: bool = True,
    flow_options: dict[str, Any] | None = None,
    prior: str = NORMAL,
    likelihood: str = "bernoulli",
    network: str = "dense",
    shape: Sequence[int] = (),
    hidden: Sequence[int] | None = None,
    nonlinearity: str = "gated",
) -> LatentModel:
    """A latent model of n numbers that starts at their mean, whatever the latent variables say.

    `spread` are their standard deviations, which a likelihood whose numbers have units goes by.
    `latent` is their number, or, for several stochastic layers, a list with that next to the data
    first. `flow` and `prior` are recipe names; "none" is no flow, and "normal" the standard normal.
    Encoder and decoder of a "dense" `network` have layers of the widths in `hidden`, the decoder's
    in reverse; those of a "convolutional" one, for images of that `shape`, have so many channels
    at each level but the last number, which counts features. Raises `ValueError` for unknown names,
    sizes that are not positive, and choices that do not go together.
    """
    if network not in NETWORKS:
        raise ValueError(f"unknown network {network!r}; known: {', '.join(NETWORKS)}")
    if hidden is None:
        hidden = NETWORKS[network]
    hidden = check_whole_numbers("hidden", hidden, most=MOST_UNITS)
    sizes = check_latent(latent)
    if likelihood not in LIKELIHOODS:
        known = ", ".join(sorted(LIKELIHOODS))
        raise ValueError(f"unknown likelihood {likelihood!r}; known: {known}")
    if flow == NO_FLOW and flow_options:
        given = ", ".join(sorted(flow_options))
        raise ValueError(f"without a flow there is nothing that {given} could set; name a flow")
    dim, observed = sum(sizes), LIKELIHOODS[likelihood]().standardised(mean, spread)
    keys = jax.random.split(key, 5)
    encoder: Encoder
    decoder: AnyDecoder
    start = observed.start(mean)
    if network == "convolutional":
        if len(sizes) > 1 or nonlinearity != "gated" or not hidden:
            raise ValueError(
                "a convolutional network is gated, has one layer of latent variables, and a width "
                f"of its features; got {nonlinearity!r:.80}, latent {latent!r}, hidden {hidden}"
            )
        encoder = ConvolutionalFeatures(shape, hidden[:-1], hidden[-1], key=keys[0])
        decoder = ConvolutionalDecoder(dim, shape, hidden[:-1], start, key=keys[1])
    else:
        encoder = Features(mean.size, hidden, key=keys[0], nonlinearity=nonlinearity)
        inside: dict[str, Any] = {"key": keys[1], "nonlinearity": nonlinearity}
        widths = tuple(reversed(hidden))
        decoder = (
            Decoder(dim, widths, start, **inside)
            if len(sizes) == 1
            else DeepDecoder(sizes, widths[0] if widths else dim, widths, start, **inside)
        )
    context = encoder.outputs if amortised else None
    layers = (
        None
        if flow == NO_FLOW
        else flows.build(flow, keys[2], dim, context, **(flow_options or {}))
    )
    before: Distribution = (
        StandardNormal((dim,)) if prior == NORMAL else flows.build(prior, keys[3], dim)
    )
    q = linear_start(keys[4], dim, encoder.outputs)
    return LatentModel(encoder, q, layers, before, decoder, observed)
