"""Networks masked by degrees: all autoregressive parameters in one pass (Germain et al. 2015)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from thalweg.nets.activations import check_activation
from thalweg.nets.autoregressive import (
    AutoregressiveConditioner,
    Group,
    Theta,
    check_groups,
    windows,
)
from thalweg.nets.conditioner import Context, Inputs, Outputs, join_columns, join_context
from thalweg.nets.linear import Linear, columns, dense

Units = Float[Array, "_units ..."]  # of one set, or those of one group among them
Apply = Callable[[int, Units], Units]


class MaskedNetwork(AutoregressiveConditioner):
    """Dense layers between sets of units, the weights masked by the degrees of the units.

    A hidden unit of degree m sees the context and the inputs of groups before m; the parameters
    of group g see the units of degrees up to g. Degrees are spread evenly and sorted, so the
    masks are block triangular, and without a context none has degree 0.

    If `centred`, layer i maps y to W_i (y − c) + b_i, where c is trained and has a number for each
    unit: a masked unit then counts as c and not as zero. Under one mask that adds nothing; under
    many masks a unit has nearly the same mean under each.

    Weights of the inputs start as if nothing were masked, so that units which see few of many start
    small: at one scale for all, tables of many columns and few rows are overfitted sooner. Weights
    between hidden units start at a scale that counts only what a unit sees.

    After `shuffled` the units keep their rows in the weights and get other degrees: masks are then
    computed where they are needed, and no weight moves. Evaluation group by group needs units
    sorted by degree, as `in_order` returns them.

    `wiring` has for each layer the sets of units it leads from and to: 0 holds the inputs and
    the context, 1, 2, … the hidden units, the last the parameters. A subclass states the formula,
    once for both ways of evaluating it: all at once, and group by group.
    """

    layers: tuple[Linear, ...]
    ready: tuple[Array, ...] | None  # masked weights, once `prepare` has run
    centres: tuple[Array, ...] | None  # of each set but the parameters, where it is centred
    places: tuple[Array, ...] | None  # of each set, the units by degree, once `shuffled` has run
    wiring: tuple[tuple[int, int], ...] = eqx.field(static=True)
    hidden: tuple[int, ...] = eqx.field(static=True)
    activation: str = eqx.field(static=True)

    def __init__(
        self,
        groups: Sequence[int],
        parameters: int,
        hidden: Sequence[int],
        wiring: Sequence[tuple[int, int]],
        gains: Sequence[float],
        *,
        key: PRNGKeyArray,
        context_size: int,
        activation: str,
        centred: bool = False,
    ):
        self.groups, self.hidden, self.wiring = tuple(groups), tuple(hidden), tuple(wiring)
        check_groups(self.groups)
        self.parameters, self.inputs = parameters, len(self.groups)
        self.outputs, self.context_size = parameters * self.inputs, context_size
        self.activation = check_activation(activation)
        self.ready = self.places = None
        sizes = [self.inputs + context_size, *self.hidden]
        self.centres = tuple(jnp.zeros(size) for size in sizes) if centred else None
        keys = jax.random.split(key, len(self.wiring))
        self.layers = tuple(
            _init_layer(mask, of_inputs=source == 0, key=k, gain=gain)
            for k, gain, mask, (source, _) in zip(
                keys, gains, self._masks(), self.wiring, strict=True
            )
        )

    @abstractmethod
    def formula(self, x: Units, apply: Apply) -> Units:
        """Return the output of the network; `apply(i, y)` is the value of its layer i at y."""

    def _degrees(self) -> list[np.ndarray]:
        """Return the degrees of each set of units; those of parameters are their groups."""
        groups, count = np.array(self.groups, int), max(self.groups) + 1
        # An input of group g is seen from degree g + 1 on; a context from degree 0 on.
        first = np.concatenate([groups + 1, np.zeros(self.context_size, int)])
        inner = [spread_degrees(width, count, self.context_size) for width in self.hidden]
        return [first, *inner, np.tile(groups, self.parameters)]

    def _masks(self) -> list[Any]:
        degrees: list[Any] = [*self._degrees()]
        if self.places is not None:
            degrees = [
                jnp.asarray(d)[jnp.argsort(p)] for d, p in zip(degrees, self.places, strict=True)
            ]
        return [degrees[a][:, None] <= degrees[b][None, :] for a, b in self.wiring]

    def _weights(self) -> tuple[Array, ...]:
        if self.ready is not None:
            return self.ready
        return tuple(
            layer.weight * jnp.asarray(mask, layer.weight.dtype)
            for layer, mask in zip(self.layers, self._masks(), strict=True)
        )

    def _layer_input(self, i: int, y: Array) -> Array:
        """Return y less the centres of layer i; events may be a trailing axis."""
        if self.centres is None:
            return y
        centre = self.centres[self.wiring[i][0]]
        return y - centre.reshape(-1, *[1] * (y.ndim - 1))

    def prepare(self) -> Self:
        if self.ready is not None:
            return self
        return eqx.tree_at(
            lambda net: [net.ready, *(layer.weight for layer in net.layers)],
            self,
            [self._weights(), *[None] * len(self.layers)],
            is_leaf=lambda node: node is None,
        )

    @property
    def supports_trailing_batch(self) -> bool:
        return True

    def __call__(self, x: Inputs, context: Context = None) -> Outputs:
        weights = self._weights()

        def apply(i: int, y: Array) -> Array:
            return dense(weights[i], self.layers[i].bias, self._layer_input(i, y))

        y = join_context(x, context)
        if self.places is None:
            return self.formula(y, apply)
        return self.formula(y[jnp.argsort(self.places[0])], apply)[self.places[-1]]

    def in_order(self) -> Self:
        if self.places is None:
            return self
        places = self.places

        def by_degree(weights: Sequence[Array | None]) -> list[Array | None]:
            return [
                None if w is None else w[places[a]][:, places[b]]
                for w, (a, b) in zip(weights, self.wiring, strict=True)
            ]

        layers = tuple(
            eqx.tree_at(
                lambda linear: (linear.weight, linear.bias),
                layer,
                (weight, layer.bias[places[b]]),
                is_leaf=lambda node: node is None,
            )
            for layer, weight, (_, b) in zip(
                self.layers,
                by_degree([layer.weight for layer in self.layers]),
                self.wiring,
                strict=True,
            )
        )
        ready = None if self.ready is None else tuple(by_degree(self.ready))
        centres = self.centres
        if centres is not None:
            centres = tuple(c[p] for c, p in zip(centres, places[:-1], strict=True))
        return eqx.tree_at(
            lambda net: (net.layers, net.ready, net.centres, net.places),
            self,
            (layers, ready, centres, None),
            is_leaf=lambda node: node is None,
        )

    def start(self, x: Inputs, context: Context) -> list[Units]:
        assert self.places is None
        # The inputs of each layer so far. The first gets all inputs at every step.
        units = [len(of_set) for of_set in self._degrees()]
        return [jnp.zeros((units[a] if a else 0, *x.shape[1:]), x.dtype) for a, _ in self.wiring]

    def advance(
        self, group: Group, x: Inputs, state: list[Units], context: Context
    ) -> tuple[Theta, list[Units]]:
        count = max(self.groups) + 1
        degrees, weights, state = self._degrees(), self._weights(), list(state)
        degrees[-1] = np.array(self.groups)

        def window(units: int) -> tuple[Array, int]:
            begins, size = windows(degrees[units], count)
            return jnp.asarray(begins)[group], size

        def apply(i: int, y: Array) -> Array:
            source, target = self.wiring[i]
            if source:
                # Units of later degrees that share the window are computed too early; they are
                # masked until their own group comes.
                state[i] = y = lax.dynamic_update_slice_in_dim(state[i], y, window(source)[0], 0)
            begin, size = window(target)
            shape = (-1, len(degrees[target]))  # the parameters are in rows
            weight = weights[i].reshape(len(y), *shape)
            weight = lax.dynamic_slice_in_dim(weight, begin, size, 2)
            bias = lax.dynamic_slice_in_dim(self.layers[i].bias.reshape(shape), begin, size, 1)
            out = columns(weight, bias, self._layer_input(i, y))
            return out if target == len(degrees) - 1 else out[0]

        return self.formula(join_columns(x, context), apply), state

    def shuffled(
        self, key: PRNGKeyArray, *, reorder: bool = True, reach: float | None = None
    ) -> tuple[Self, Int[Array, " inputs"]]:
        # The inputs and each set of hidden units are permuted while the degrees stay: each unit
        # keeps its weights and gets another degree.
        assert self.ready is None
        net, degrees = self.in_order(), self._degrees()
        order_key, *keys = jax.random.split(key, len(degrees) - 1)
        order = jnp.arange(self.inputs)
        order = permute_within(order_key, self.inputs, reach) if reorder else order
        rows = jnp.arange(self.parameters)[:, None] * self.inputs
        places = (
            jnp.concatenate([order, self.inputs + jnp.arange(self.context_size)]),
            *(permute_within(k, len(d), reach) for k, d in zip(keys, degrees[1:-1], strict=True)),
            (rows + order).ravel(),
        )
        other = eqx.tree_at(lambda n: n.places, net, places, is_leaf=lambda node: node is None)
        return other, order


def spread_degrees(width: int, count: int, context_size: int) -> np.ndarray:
    """Return sorted degrees of hidden units, evenly spread: how many groups each may see."""
    least = 0 if context_size or count == 1 else 1
    return least + np.arange(width) * (count - least) // max(width, 1)


def check_reach(reach: float | None) -> float | None:
    """Return `reach`; raise `ValueError` unless it is a positive number or None."""
    if reach is not None and not reach > 0:
        raise ValueError(f"reach must be positive, got {reach}")
    return reach


def permute_within(key: PRNGKeyArray, count: int, reach: float | None) -> Int[Array, " count"]:
    """Return a random permutation that moves nothing by more than reach · count positions.

    It is the order of i / count + reach · u_i with u uniform in [0, 1); without a `reach` it is any
    permutation.
    """
    if reach is None:
        return jax.random.permutation(key, count)
    check_reach(reach)
    u = jax.random.uniform(key, (count,))
    return jnp.argsort(jnp.arange(count) / count + reach * u)


def _init_layer(mask: np.ndarray, *, of_inputs: bool, key: PRNGKeyArray, gain: float) -> Linear:
    layer = Linear(*mask.shape, key=key, gain=gain)
    if of_inputs:
        return layer
    scale = jnp.asarray(np.sqrt(len(mask) / np.maximum(mask.sum(0), 1)), layer.weight.dtype)
    return eqx.tree_at(lambda linear: linear.weight, layer, layer.weight * scale)
