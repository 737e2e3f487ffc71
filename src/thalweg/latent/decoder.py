"""Decoders: from latent variables to the parameters of the likelihood."""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.nets.features import Features
from thalweg.nets.linear import Linear
from thalweg.tree import Module


class Decoder(Module):
    """θ = W h(z) + b: feature layers and a linear head, (latent,) → (parameters, n).

    Args:
        latent: the number of latent variables.
        hidden: widths of the feature layers.
        start: θ of the fresh decoder, (parameters, n).
        key: of the initial weights.
        nonlinearity: of the feature layers.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> decoder = tw.latent.Decoder(2, (8,), jnp.zeros((1, 5)), key=jax.random.key(0))
        >>> decoder(jnp.ones(2)).shape
        (1, 5)
    """

    features: Features
    head: Linear
    parameters: int = eqx.field(static=True)

    def __init__(
        self,
        latent: int,
        hidden: Sequence[int],
        start: Float[Array, "p n"],
        *,
        key: PRNGKeyArray,
        nonlinearity: str = "silu",
    ):
        inside, outside = jax.random.split(key)
        self.features = Features(latent, hidden, key=inside, nonlinearity=nonlinearity)
        head = Linear(self.features.outputs, start.size, key=outside)
        self.head = eqx.tree_at(lambda linear: linear.bias, head, jnp.ravel(start))
        self.parameters = len(start)

    def __call__(self, z: Float[Array, " latent"]) -> Float[Array, "p n"]:
        return self.head(self.features(z)).reshape(self.parameters, -1)


class DeepDecoder(Module):
    """L stochastic layers: h_L = G_L z_L, h_l = T_l(h_{l+1}) + G_l z_l, θ = T_0(h_1).

    The deep latent Gaussian model of Rezende et al. (2014). All z_l have a standard normal prior,
    so that together they are one latent vector (z_1, …, z_L). T_l is a network, G_l a matrix.

    Args:
        latent: the sizes of the z_l, that next to the data first.
        width: the size of the states h_l.
        hidden: widths of the layers of T_l; empty: linear.
        start: θ of the fresh decoder, (parameters, n).
        key: of the initial weights.
        nonlinearity: of T_l.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> start, key = jnp.zeros((1, 5)), jax.random.key(0)
        >>> decoder = tw.latent.DeepDecoder((2, 3), 4, (8,), start, key=key)
        >>> decoder(jnp.ones(5)).shape
        (1, 5)
    """

    generators: tuple[Linear, ...]
    transforms: tuple[tuple[Features, Linear], ...]
    out: Decoder
    latent: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self,
        latent: Sequence[int],
        width: int,
        hidden: Sequence[int],
        start: Float[Array, "p n"],
        *,
        key: PRNGKeyArray,
        nonlinearity: str = "silu",
    ):
        count = len(latent)
        keys = jax.random.split(key, 3 * count)
        self.latent = tuple(latent)
        self.generators = tuple(
            Linear(size, width, key=k) for size, k in zip(latent, keys[:count], strict=True)
        )
        transforms = []
        for inside, outside in keys[count : 3 * count - 2].reshape(count - 1, 2):
            features = Features(width, hidden, key=inside, nonlinearity=nonlinearity)
            transforms.append((features, Linear(features.outputs, width, key=outside)))
        self.transforms = tuple(transforms)
        self.out = Decoder(width, hidden, start, key=keys[-1], nonlinearity=nonlinearity)

    def __call__(self, z: Float[Array, " latent"]) -> Float[Array, "p n"]:
        ends = [sum(self.latent[: i + 1]) for i in range(len(self.latent) - 1)]
        layers = jnp.split(z, ends)
        state = self.generators[-1](layers[-1])
        below = zip(self.transforms, self.generators[:-1], layers[:-1], strict=True)
        for (features, linear), generator, own in reversed(list(below)):
            state = linear(features(state)) + generator(own)
        return self.out(state)
