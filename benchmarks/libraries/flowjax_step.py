"""FlowJAX: its flows and its `ElboLoss`, in its own loop and with many steps in one program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
import paramax
from cases import LEARNING_RATE, Case, correlated, u1
from flowjax.bijections import Planar, Scan
from flowjax.distributions import Normal, Transformed
from flowjax.flows import coupling_flow
from flowjax.train.losses import ElboLoss
from flowjax.train.train_utils import step as flowjax_step
from timing import Run


def planar(case: Case, *, own_loop: bool = False) -> Run:
    """Its planar layers, scanned.

    FlowJAX's `planar_flow` means the map from data to base unless `invert=False`, and reverses
    the coordinates after each layer; here the layers are stacked as it does, without that, and
    in the direction that samples.
    """
    keys = jax.random.split(jax.random.key(0), case.layers)
    layers = eqx.filter_vmap(lambda key: Planar(key, dim=case.dim))(keys)
    flow = Transformed(_base(case), Scan(layers))
    return _training(flow, case, lambda x: u1(x, jnp), own_loop)


def real_nvp(case: Case, *, own_loop: bool = False) -> Run:
    """Its `coupling_flow` with affine transformers, in the direction that samples."""
    flow = coupling_flow(
        jax.random.key(0),
        base_dist=_base(case),
        flow_layers=case.layers,
        nn_width=case.hidden[0],
        nn_depth=len(case.hidden),
        nn_activation=jax.nn.silu,
        invert=False,
    )
    return _training(flow, case, lambda x: correlated(x, jnp), own_loop)


def _base(case: Case) -> Normal:
    return Normal(jnp.zeros(case.dim), jnp.ones(case.dim))


def _training(flow: Any, case: Case, target: Callable[[Any], Any], own_loop: bool) -> Run:
    loss = ElboLoss(target, num_samples=case.batch)
    parameters, static = eqx.partition(
        flow, eqx.is_inexact_array, is_leaf=lambda leaf: isinstance(leaf, paramax.NonTrainable)
    )
    adam = optax.adam(LEARNING_RATE)
    moments, key = adam.init(parameters), jax.random.key(1)

    def one_call_a_step(steps: int) -> None:
        # The body of `flowjax.train.fit_to_key_based_loss`, less its progress bar.
        nonlocal parameters, moments, key
        key, now = jax.random.split(key)
        for each in jax.random.split(now, steps):
            parameters, moments, value = flowjax_step(
                parameters, static, key=each, optimizer=adam, opt_state=moments, loss_fn=loss
            )
            value.item()

    @eqx.filter_jit
    def chunk(state: Any, steps: Any) -> Any:
        def body(i: Any, state: Any) -> Any:
            parameters, moments, key, total = state
            value, gradient = eqx.filter_value_and_grad(loss)(
                parameters, static, jax.random.fold_in(key, i)
            )
            updates, moments = adam.update(gradient, moments)
            return eqx.apply_updates(parameters, updates), moments, key, total + value

        return jax.lax.fori_loop(0, steps, body, state)

    state = (parameters, moments, key, jnp.zeros(()))

    def one_call_a_chunk(steps: int) -> None:
        nonlocal state
        state = jax.block_until_ready(chunk(state, jnp.asarray(steps)))

    return one_call_a_step if own_loop else one_call_a_chunk
