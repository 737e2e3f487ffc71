"""Make a fresh latent model for data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg import flows
from thalweg.distributions import Distribution, StandardNormal
from thalweg.latent.decoder import Decoder, DeepDecoder
from thalweg.latent.likelihoods import LIKELIHOODS
from thalweg.latent.model import AnyDecoder, Encoder, LatentModel, linear_start
from thalweg.latent.options import NO_FLOW, NORMAL, LatentOptions
from thalweg.nets.features import Features
from thalweg.nets.gated_convolution import ConvolutionalDecoder, ConvolutionalFeatures


def build(
    key: PRNGKeyArray,
    mean: Float[Array, " n"],
    spread: Float[Array, " n"],
    options: LatentOptions,
    shape: Sequence[int] = (),
) -> LatentModel:
    """Make a latent model of n numbers that starts at their mean, whatever z is.

    Args:
        key: of the initial weights.
        mean: of the data.
        spread: standard deviations of the data, the units of a `Gaussian` likelihood.
        options: `hidden` are widths of the layers of a "dense" encoder, in reverse of the decoder;
            channels of a "convolutional" one at each level, then its number of features.
        shape: of an image, for a convolutional network.

    Raises:
        ValueError: the shape, or an option of the flow, is impossible.
    """
    sizes, hidden = options.layer_sizes, options.widths
    dim, observed = sum(sizes), LIKELIHOODS[options.likelihood]().standardised(mean, spread)
    keys = jax.random.split(key, 5)
    encoder: Encoder
    decoder: AnyDecoder
    start = observed.start(mean)
    if options.network == "convolutional":
        encoder = ConvolutionalFeatures(shape, hidden[:-1], hidden[-1], key=keys[0])
        decoder = ConvolutionalDecoder(dim, shape, hidden[:-1], start, key=keys[1])
    else:
        encoder = Features(mean.size, hidden, key=keys[0], nonlinearity=options.nonlinearity)
        inside: dict[str, Any] = {"key": keys[1], "nonlinearity": options.nonlinearity}
        widths = hidden[::-1]
        decoder = (
            Decoder(dim, widths, start, **inside)
            if len(sizes) == 1
            else DeepDecoder(sizes, widths[0] if widths else dim, widths, start, **inside)
        )
    context = encoder.outputs if options.amortised else None
    flow, prior = options.flow, options.prior
    layers = (
        None
        if flow == NO_FLOW
        else flows.build(flow, keys[2], dim, context, **options.flow_options)
    )
    before: Distribution = (
        StandardNormal((dim,)) if prior == NORMAL else flows.build(prior, keys[3], dim)
    )
    q = linear_start(keys[4], dim, encoder.outputs)
    return LatentModel(encoder, q, layers, before, decoder, observed)
