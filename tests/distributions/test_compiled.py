"""A density that is asked again runs the program of the first time: nothing is traced anew."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg import flows
from thalweg.distributions import (
    BinaryMADE,
    Blend,
    DiagonalNormal,
    Ensemble,
    GaussianMixture,
    StandardNormal,
)

KEY = jax.random.key(0)


def flow(key=KEY):
    return flows.build("planar", key, 2, layers=2)


KINDS = {
    "flow": flow,
    "ensemble": lambda: Ensemble.create(flow, KEY, 3),
    "blend": lambda: Blend([flow(), StandardNormal((2,))], jnp.ones(2)),
    "ensemble in a blend": lambda: Blend(
        [Ensemble.create(flow, KEY, 2), DiagonalNormal(jnp.zeros(2), jnp.ones(2))], jnp.ones(2)
    ),
    "mixture": lambda: GaussianMixture(jnp.ones(3), jnp.zeros((3, 2)), jnp.ones((3, 2))),
    "made": lambda: BinaryMADE(2, key=KEY, hidden=(4,)),
}


@pytest.fixture
def traced():
    """The names of programs, as they are traced."""
    names = []

    def listen(event, seconds, **about):
        if event.endswith("jaxpr_trace_duration"):
            names.append(about.get("fun_name"))

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield names
    jax.monitoring.unregister_event_duration_listener(listen)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", ["log_prob", "sample"])
def test_asking_again_traces_nothing(kind, call, traced):
    density = KINDS[kind]()
    x, keys = jnp.asarray(np.eye(2)), jax.random.split(KEY, 2)
    ask = {
        "log_prob": lambda i: density.log_prob(x + 0 * i),
        "sample": lambda i: density.sample(keys[i], (5,)),
    }[call]
    ask(0)
    assert traced
    traced.clear()
    ask(1)
    assert not traced, f"traced again: {traced}"
