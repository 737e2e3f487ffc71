"""The number of programs that a fit compiles in a fresh process; new data compile none."""

import subprocess
import sys

FITS = """
import jax, jax.numpy as jnp, numpy as np
from jax import monitoring

names = []

def heard(event, seconds, fun_name="", **rest):
    if event.endswith("backend_compile_duration"):
        names.append(fun_name)

monitoring.register_event_duration_secs_listener(heard)
import thalweg as tw

def density(data, scale):
    def bent(x):
        return -0.5 * jnp.sum((x[1:] - x[0] ** 2 - data) ** 2) / scale - 0.5 * x[0] ** 2
    return bent

def straight(data, scale):
    return lambda x: -0.5 * jnp.sum((x - data) ** 2) / scale

for make in (straight, density):
    for seed in range(3):
        del names[:]
        rng = np.random.default_rng(seed)
        data, scale = rng.normal(size=3 if make is straight else 2), float(seed + 1)
        tw.infer(make(data, scale), 3, progress=False)
        print(len(names), flush=True)
"""


def test_a_fit_compiles_few_programs_and_none_for_new_data():
    done = subprocess.run(
        [sys.executable, "-c", FITS], capture_output=True, text=True, check=True, timeout=600
    )
    gaussian, *same_gaussian, flow, other_flow, third_flow = map(int, done.stdout.split())
    assert gaussian <= 12
    assert flow <= 12
    assert [*same_gaussian, other_flow, third_flow] == [0, 0, 0, 0]
