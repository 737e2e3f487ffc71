"""Autoregressive networks of every kind, with every weight and bias away from zero."""

from functools import partial

import equinox as eqx
import jax

from thalweg.nets.autoregressive import equal_groups
from thalweg.nets.gru import GRU
from thalweg.nets.masked_mlp import MaskedMLP
from thalweg.nets.masked_residual_mlp import MaskedResidualMLP

PARAMETERS = 3
KINDS = {
    "masked": partial(MaskedMLP, hidden=(16, 11)),
    "direct": partial(MaskedMLP, hidden=(16, 11), direct=True),
    "centred": partial(MaskedMLP, hidden=(16, 11), direct=True, centred=True),
    "residual": partial(MaskedResidualMLP, hidden=13, blocks=2),
    "gru": partial(GRU, hidden=(7, 5)),
}


def moved(tree, seed, std=1.0):
    """The tree with noise on every array of floats."""
    leaves, structure = jax.tree.flatten(eqx.filter(tree, eqx.is_inexact_array))
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    noisy = [
        a + std * jax.random.normal(k, a.shape, a.dtype) for a, k in zip(leaves, keys, strict=True)
    ]
    return eqx.combine(jax.tree.unflatten(structure, noisy), tree)


def network(dim, groups=None, context_size=0, *, kind="masked", std=1.0, **options):
    fresh = KINDS[kind](
        equal_groups(dim, groups),
        PARAMETERS,
        key=jax.random.key(0),
        context_size=context_size,
        final_gain=1.0,
        **options,
    )
    return moved(fresh, 1, std)
