"""The objective of a latent model: bounds of ln p(x) on a batch of rows."""

from __future__ import annotations

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from thalweg.argument_checks import check_real_number, check_whole_number
from thalweg.data.observations import Observations
from thalweg.data.shears import check_augment, sheared
from thalweg.files.memory import check_memory, format_count
from thalweg.latent.model import LatentModel, Terms
from thalweg.objectives import Annealing, Estimate, Objective, Shared

ANNEALED = ("likelihood", "kl")
# Held-out rows of a block: a convolution of more leaves the cache, and of 10,000 the memory.
TOGETHER = 100


class EvidenceBound(Objective):
    """Minus the bound E_q[ln p(x, z) − ln q(z | x)] ≤ ln p(x), in nats a row.

    Each step draws rows with replacement, and points from their posteriors. The value that is
    reported is always the bound itself, at β = 1 and without free bits.

    Args:
        data: training rows.
        batch_size: rows of a step.
        held_out: rows for early stopping, scored with one draw each.
        draws: points of a row; more than one give the importance-weighted bound −ln mean exp (Burda
            et al. 2016).
        annealing: β_t.
        annealed: with "likelihood" β multiplies ln p(x, z), F_β = E[ln q(z) − β ln p(x, z)] as in
            Rezende & Mohamed (2015); with "kl" it multiplies ln q(z) − ln p(z), the warm-up of
            Bowman et al. (2016).
        free_bits: the least KL in nats a latent variable, on the mean of the batch (Kingma et al.
            2016).
        drop: the fraction of an observation's numbers hidden from the encoder at step 0, to the
            nearest of 256; it keeps the encoder from memorising rows.
        augment: the fraction of images slanted and moved at step 0 (see `thalweg.data.shears`).
        until: the step at which `drop` and `augment` have fallen linearly to zero; inf: they stay.

    Raises:
        ValueError: an option is out of range.

    Example:
        >>> import numpy as np
        >>> import thalweg as tw
        >>> from thalweg.data.observations import Reals
        >>> tw.latent.EvidenceBound(Reals(np.zeros((10, 2))), batch_size=5, free_bits=0.1).draws
        1
    """

    unit: ClassVar[str] = "nats a row"

    data: Shared
    validation: Shared | None
    annealing: Annealing | None
    until: Shared
    batch_size: int = eqx.field(static=True)
    draws: int = eqx.field(static=True)
    annealed: str = eqx.field(static=True)
    free_bits: float = eqx.field(static=True)
    drop: float = eqx.field(static=True)
    augment: float = eqx.field(static=True)

    def __init__(
        self,
        data: Observations,
        batch_size: int = 100,
        *,
        held_out: Observations | None = None,
        draws: int = 1,
        annealing: Annealing | None = None,
        annealed: str = "kl",
        free_bits: float = 0.0,
        drop: float = 0.0,
        augment: float = 0.0,
        until: float = math.inf,
    ):
        if not len(data):
            raise ValueError("there are no training rows")
        batch_size = check_whole_number("batch_size", batch_size)
        draws = check_whole_number("draws", draws)
        events = batch_size * draws
        size = 8 * events * math.prod(data.shape)  # the images, and their parameters
        check_memory(size, f"a step of {format_count(events)} draws")
        if annealed not in ANNEALED:
            raise ValueError(f"annealed must be 'likelihood' or 'kl', got {annealed!r:.80}")
        self.free_bits = check_real_number("free_bits", free_bits, least=0)
        self.drop = check_real_number("drop", drop, least=0, below=1)
        check_augment(augment, until, data.shape)
        self.data, self.annealing = Shared(data), annealing
        self.validation = Shared(held_out) if held_out is not None and len(held_out) else None
        self.batch_size, self.draws, self.annealed = batch_size, draws, annealed
        self.augment = float(augment)
        self.until = Shared(jnp.asarray(until, float))

    @property
    def title(self) -> str:
        return "−ELBO"

    def __call__(self, model: LatentModel, key: PRNGKeyArray, step: Int[Array, ""]) -> Estimate:
        pick, pixels, hide, latent, shear = jax.random.split(key, 5)
        data = self.data.value
        index = jax.random.randint(pick, (self.batch_size,), 0, len(data))
        x = data.rows(index, pixels)
        left = jnp.maximum(0.0, 1 - step / self.until.value)
        if self.augment:
            x = sheared(x, data.shape, self.augment * left, shear)
        kept = None
        if self.drop:
            # Bytes take a quarter of the random bits of floats. Visible numbers are scaled so that
            # the mean input of a unit stays the same.
            chances = 256 - jnp.round(256 * self.drop * left)
            visible = jax.random.bits(hide, x.shape, "uint8") < chances
            kept = jnp.where(visible, 256 / chances, 0.0)
        features = model.features(x, kept)
        keys = jax.random.split(latent, self.draws)
        terms = jax.vmap(lambda k: model.terms(x, k, features))(keys)
        value = -jnp.mean(_importance_weighted(terms.bound))
        return Estimate(self._cost(terms, model.latent, step), value)

    def _cost(self, terms: Terms, latent: int, step: Int[Array, ""]) -> Float[Array, ""]:
        beta = jnp.asarray(1.0) if self.annealing is None else self.annealing(step)
        kl, likelihood = terms.kl, terms.log_likelihood
        if self.annealed == "likelihood":
            # ln q(z) − β (ln p(z) + ln p(x | z))
            kl = kl + (1 - beta) * terms.log_prior
            likelihood = beta * likelihood
        else:
            kl = beta * kl
        if self.free_bits:
            # A KL below the free bits has no gradient.
            floor = self.free_bits * latent
            kl = kl - jnp.mean(kl) + jnp.maximum(jnp.mean(kl), floor)
        return -jnp.mean(_importance_weighted(likelihood - kl))

    def held_out(self, model: LatentModel, key: PRNGKeyArray) -> Float[Array, " rows"] | None:
        if self.validation is None:
            return None
        data = self.validation.value
        count = len(data)

        def block(index: Int[Array, " rows"]) -> Float[Array, " rows"]:
            pixels, latent = jax.random.split(jax.random.fold_in(key, index[0]))
            return model.terms(data.rows(index, pixels), latent).bound

        # The last block is padded with the last row.
        index = jnp.arange(-(-count // TOGETHER) * TOGETHER).clip(max=count - 1)
        bounds: Array = jax.lax.map(block, index.reshape(-1, TOGETHER))
        return -bounds.reshape(-1)[:count]


def _importance_weighted(log_weights: Float[Array, "draws rows"]) -> Float[Array, " rows"]:
    """Return ln of the mean weight over draws."""
    if len(log_weights) == 1:
        return log_weights[0]
    return logsumexp(log_weights, 0) - jnp.log(len(log_weights))
