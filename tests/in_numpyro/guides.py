"""Set up a guide, and fit it by SVI."""

import jax
import numpyro
from numpyro import handlers
from numpyro.infer import SVI, Trace_ELBO

SMALL = {"layers": 2, "hidden": (8,)}


def met(guide, *args):
    """The guide, once it has met its model, and the params that it begins with."""
    trace = handlers.trace(handlers.seed(guide, 0)).get_trace(*args)
    return {name: site["value"] for name, site in trace.items() if site["type"] == "param"}


def fit(model, guide, steps, *args, rate=0.02, particles=32):
    optimiser = numpyro.optim.Adam(rate)
    svi = SVI(model, guide, optimiser, Trace_ELBO(num_particles=particles))
    return svi.run(jax.random.key(0), steps, *args, progress_bar=False)
