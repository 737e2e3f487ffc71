"""What a latent model learns by: bounds of ln p(x), drawn for a batch of rows."""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, PRNGKeyArray

from thalweg.argument_checks import check_real_number, check_whole_number
from thalweg.data.observations import Observations
from thalweg.data.shears import check_augment, sheared
from thalweg.files.memory import check_memory, format_count
from thalweg.latent.model import LatentModel, Terms
from thalweg.objectives import Annealing, Estimate, Objective, Shared

ANNEALED = ("likelihood", "kl")
# Held-out rows that are worked on at once: what a convolution makes of more leaves the cache, and
# of ten thousand, the memory.
TOGETHER = 100


class EvidenceBound(Objective):
    """Minus the bound E_q[ln p(x, z) − ln q(z | x)] ≤ ln p(x), in nats a row.

    Each step draws `batch_size` rows with replacement and for each `draws` points from its
    posterior. More than one give the importance-weighted bound −ln mean exp (Burda et al. 2016).

    `annealing` gives β_t, and `annealed` says where it stands: with "likelihood" before ln p(x, z),
    F_β = E[ln q(z) − β ln p(x, z)] as in Rezende & Mohamed (2015); with "kl" before
    ln q(z) − ln p(z), the warm-up of Bowman et al. (2016). `free_bits` is the least number of nats
    a latent variable that the KL term counts for, on the mean of the batch (Kingma et al. 2016).
    Two disturbances keep a model from memorising single rows. `drop` is the part of an
    observation's numbers that the encoder does not get to see at step 0, to the nearest of 256;
    `augment` the part of the rows, images then, that are slanted and moved at step 0 (see
    `thalweg.data.shears`). Both fall along a line to none at step `until` (inf: they stay).
    What is reported is always the bound itself, at β = 1 and without free bits. `held_out` rows
    are scored by the bound with one draw each. Raises `ValueError` for options out of range.
    """

    data: Shared
    unseen: Shared | None
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
            raise ValueError("there are no rows to learn from")
        batch_size = check_whole_number("batch_size", batch_size)
        draws = check_whole_number("draws", draws)
        events = batch_size * draws
        size = 8 * events * math.prod(data.shape)  # the images, and what is said of each pixel
        check_memory(size, f"a step of {format_count(events)} draws")
        if annealed not in ANNEALED:
            raise ValueError(f"annealed must be 'likelihood' or 'kl', got {annealed!r:.80}")
        self.free_bits = check_real_number("free_bits", free_bits, least=0)
        self.drop = check_real_number("drop", drop, least=0, below=1)
        check_augment(augment, until, data.shape)
        self.data, self.annealing = Shared(data), annealing
        self.unseen = Shared(held_out) if held_out is not None and len(held_out) else None
        self.batch_size, self.draws, self.annealed = batch_size, draws, annealed
        self.augment = float(augment)
        self.until = Shared(jnp.asarray(until, float))

    def __call__(self, model: LatentModel, key: PRNGKeyArray, step: Array) -> Estimate:
        pick, pixels, hide, latent, shear = jax.random.split(key, 5)
        data = self.data.value
        index = jax.random.randint(pick, (self.batch_size,), 0, len(data))
        x = data.rows(index, pixels)
        left = jnp.maximum(0.0, 1 - step / self.until.value)
        if self.augment:
            x = sheared(x, data.shape, self.augment * left, shear)
        kept = None
        if self.drop:
            # Bytes are a quarter of the random bits of floats. What is kept is scaled so that the
            # mean of what a unit gets stays what it is.
            chances = 256 - jnp.round(256 * self.drop * left)
            left_in = jax.random.bits(hide, x.shape, "uint8") < chances
            kept = jnp.where(left_in, 256 / chances, 0.0)
        features = model.features(x, kept)
        keys = jax.random.split(latent, self.draws)
        terms = jax.vmap(lambda k: model.terms(x, k, features))(keys)
        value = -jnp.mean(_importance_weighted(terms.bound))
        return Estimate(self._cost(terms, model.latent, step), value)

    def _cost(self, terms: Terms, latent: int, step: Array) -> Array:
        beta = jnp.asarray(1.0) if self.annealing is None else self.annealing(step)
        kl, likelihood = terms.kl, terms.log_likelihood
        if self.annealed == "likelihood":
            # ln q(z) − β (ln p(z) + ln p(x | z))
            kl = kl + (1 - beta) * terms.log_prior
            likelihood = beta * likelihood
        else:
            kl = beta * kl
        if self.free_bits:
            # Nothing pulls at a KL that is below what is free.
            floor = self.free_bits * latent
            kl = kl - jnp.mean(kl) + jnp.maximum(jnp.mean(kl), floor)
        return -jnp.mean(_importance_weighted(likelihood - kl))

    def held_out(self, model: LatentModel, key: PRNGKeyArray) -> Array | None:
        if self.unseen is None:
            return None
        data = self.unseen.value
        count = len(data)

        def block(index: Array) -> Array:
            pixels, latent = jax.random.split(jax.random.fold_in(key, index[0]))
            return model.terms(data.rows(index, pixels), latent).bound

        # The last block is filled up with the last row.
        index = jnp.arange(-(-count // TOGETHER) * TOGETHER).clip(max=count - 1)
        bounds: Array = jax.lax.map(block, index.reshape(-1, TOGETHER))
        return -bounds.reshape(-1)[:count]

    def is_comparable(self, step: Array) -> Array:
        return jnp.asarray(True)


def _importance_weighted(log_weights: Array) -> Array:
    """ln of the mean weight over draws."""
    if len(log_weights) == 1:
        return log_weights[0]
    return logsumexp(log_weights, 0) - jnp.log(len(log_weights))
