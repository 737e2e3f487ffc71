"""FlowJAX on data: its flows and its `MaximumLikelihoodLoss`, many steps in one program."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import paramax
from cases import BOUND, LEARNING_RATE, Case, Tasks, table
from flowjax.bijections import Affine, RationalQuadraticSpline
from flowjax.distributions import Normal
from flowjax.flows import coupling_flow, masked_autoregressive_flow
from flowjax.train.losses import MaximumLikelihoodLoss


def _spline(case: Case) -> RationalQuadraticSpline:
    return RationalQuadraticSpline(knots=case.bins - 1, interval=BOUND)


def spline_ar(case: Case) -> Tasks:
    """Its `masked_autoregressive_flow` with rational-quadratic splines."""
    return _tasks(masked_autoregressive_flow, case, _spline(case))


def maf(case: Case) -> Tasks:
    """Its `masked_autoregressive_flow` with affine transformers."""
    return _tasks(masked_autoregressive_flow, case, Affine())


def spline_coupling(case: Case) -> Tasks:
    """Its `coupling_flow` with rational-quadratic splines."""
    return _tasks(coupling_flow, case, _spline(case))


def _tasks(make: Any, case: Case, transformer: Any) -> Tasks:
    weights, batches = jax.random.split(jax.random.key(case.seed))
    flow = make(
        weights,
        base_dist=Normal(jnp.zeros(case.dim), jnp.ones(case.dim)),
        transformer=transformer,
        flow_layers=case.layers,
        nn_width=case.hidden[0],
        nn_depth=len(case.hidden),
        nn_activation=jax.nn.silu,
    )
    data = jnp.asarray(table(case, case.evaluated))
    loss, adam = MaximumLikelihoodLoss(), optax.adam(LEARNING_RATE)
    parameters, static = eqx.partition(
        flow, eqx.is_inexact_array, is_leaf=lambda leaf: isinstance(leaf, paramax.NonTrainable)
    )

    @eqx.filter_jit
    def chunk(state: Any, data: Any, steps: Any) -> Any:
        def body(i: Any, state: Any) -> Any:
            parameters, moments, key, total = state
            rows = jax.random.randint(jax.random.fold_in(key, i), (case.batch,), 0, len(data))
            value, gradient = eqx.filter_value_and_grad(loss)(parameters, static, data[rows])
            updates, moments = adam.update(gradient, moments)
            return eqx.apply_updates(parameters, updates), moments, key, total + value

        return jax.lax.fori_loop(0, steps, body, state)

    state = (parameters, adam.init(parameters), batches, jnp.zeros(()))
    density = eqx.filter_jit(lambda flow, x: flow.log_prob(x))
    sampler = eqx.filter_jit(lambda flow, key: flow.sample(key, (case.drawn,)))

    def train(steps: int) -> None:
        nonlocal state
        state = jax.block_until_ready(chunk(state, data, jnp.asarray(steps)))

    def evaluate(times: int) -> None:
        for _ in range(times):
            density(flow, data).block_until_ready()

    def sample(times: int) -> None:
        for i in range(times):
            sampler(flow, jax.random.key(i)).block_until_ready()

    def score(rows: np.ndarray) -> float:
        return float(density(eqx.combine(state[0], static), jnp.asarray(rows)).mean())

    return Tasks(train, evaluate, sample, score)
