"""Many layers of one kind, scanned: depth costs nothing to compile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from thalweg.bijections.bijection import Bijection
from thalweg.bijections.roots import ROOT
from thalweg.bijections.shapes import Context, Contexts, Event, Events, LogDet, Pushed, Shape

KEPT = jax.checkpoint_policies.save_from_both_policies(
    jax.checkpoint_policies.dots_saveable, jax.checkpoint_policies.save_only_these_names(ROOT)
)


class Repeat(Bijection):
    """f = f_K ∘ … ∘ f₁ for K maps that differ only in the values of their arrays.

    The arrays of the layers are stacked along a leading axis and the composition is a
    `jax.lax.scan` over it, so a program with K = 80 is as large as one with K = 2. Build one with
    `Repeat.create(make_layer, key, count)` or from a list with `Repeat.stack(layers)`; `layers`
    is then the stacked layer.

    Args:
        layers: one bijection whose arrays have a leading axis of K.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import thalweg as tw
        >>> def make_layer(key):
        ...     return tw.bijections.Planar(2, key=key)
        >>> stack = tw.bijections.Repeat.create(make_layer, jax.random.key(0), 8)
        >>> len(stack), stack.forward(jnp.ones(2)).shape
        (8, (2,))
    """

    layers: Bijection
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(self, layers: Bijection):
        self.layers = layers
        self.shape, self.context_shape = layers.shape, layers.context_shape

    @classmethod
    def create(
        cls, make_layer: Callable[[PRNGKeyArray], Bijection], key: PRNGKeyArray, count: int
    ) -> Repeat:
        """Return `count` layers, each made by `make_layer` from its own key."""
        if count < 1:
            raise ValueError(f"Repeat needs at least one layer, got {count}")
        return cls(eqx.filter_vmap(make_layer)(jax.random.split(key, count)))

    @classmethod
    def stack(cls, layers: Sequence[Bijection]) -> Repeat:
        """Stack layers that were made one by one; raises `ValueError` if they differ in kind."""
        if not layers:
            raise ValueError("Repeat needs at least one layer, got none")
        arrays, static = zip(*(eqx.partition(b, eqx.is_array) for b in layers), strict=True)
        if any(not eqx.tree_equal(s, static[0]) for s in static[1:]):
            raise ValueError("only layers of one kind and shape can be repeated; use Chain")
        try:
            stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *arrays)
        except ValueError as error:
            raise ValueError(f"only layers of one kind can be repeated: {error}") from None
        return cls(eqx.combine(stacked, static[0]))

    def __len__(self) -> int:
        return next(leaf.shape[0] for leaf in jax.tree.leaves(self.layers) if eqx.is_array(leaf))

    @property
    def supports_trailing_batch(self) -> bool:
        return self.layers.supports_trailing_batch

    def prepare(self, context: Context = None) -> Self:
        ready = eqx.filter_vmap(lambda layer: layer.prepare(context))(self.layers)
        return eqx.tree_at(lambda r: r.layers, self, ready)

    def _scan(
        self,
        step: Callable[[Bijection, Any], tuple[Any, Any]],
        start: Any,
        context: Context,
        *,
        reverse: bool = False,
    ) -> tuple[Any, Any]:
        """Scan over the layers; return the last carry and the stacked outputs of all layers."""
        arrays, static = eqx.partition(self.prepare(context).layers, eqx.is_array)

        def body(carry: Any, layer_arrays: Any) -> tuple[Any, Any]:
            return step(eqx.combine(layer_arrays, static), carry)

        # Elementwise work is cheaper to redo in the backward pass than to store and read for every
        # layer; products of networks and roots are kept.
        body = jax.checkpoint(body, prevent_cse=False, policy=KEPT)
        return jax.lax.scan(body, start, arrays, reverse=reverse)

    def forward_and_log_det(self, z: Event, context: Context = None) -> tuple[Event, LogDet]:
        x, terms = self._scan(lambda layer, z: layer.forward_and_det_term(z, context), z, context)
        return x, jnp.sum(self.layers.log_det_of_term(terms), 0)

    def inverse_and_log_det(self, x: Event, context: Context = None) -> tuple[Event, LogDet]:
        z, log_dets = self._scan(
            lambda layer, x: layer.inverse_and_log_det(x, context), x, context, reverse=True
        )
        return z, jnp.sum(log_dets, 0)

    def forward(self, z: Event, context: Context = None) -> Event:
        return self._scan(lambda layer, z: (layer.forward(z, context), None), z, context)[0]

    def inverse(self, x: Event, context: Context = None) -> Event:
        return self._scan(
            lambda layer, x: (layer.inverse(x, context), None), x, context, reverse=True
        )[0]

    def initialised_on(self, x: Events, context: Contexts = None) -> tuple[Self, Events]:
        arrays, static = eqx.partition(self.layers, eqx.is_array)

        def body(x: Array, layer_arrays: Any) -> tuple[Array, Any]:
            layer, z = eqx.combine(layer_arrays, static).initialised_on(x, context)
            return z, eqx.filter(layer, eqx.is_array)

        z, arrays = jax.lax.scan(body, x, arrays, reverse=True)
        return eqx.tree_at(lambda r: r.layers, self, eqx.combine(arrays, static)), z

    def push_score(self, z: Event, score: Event, context: Context = None) -> Pushed:
        def step(layer: Bijection, carry: tuple[Array, Array]) -> tuple[Any, Array]:
            x, log_det, score = layer.push_score(*carry, context)
            return (x, score), log_det

        (x, score), log_dets = self._scan(step, (z, score), context)
        return x, jnp.sum(log_dets, 0), score
