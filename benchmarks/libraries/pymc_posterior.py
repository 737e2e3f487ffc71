"""PyMC: full-rank ADVI, the JAX density wrapped as an operation with a gradient."""

from __future__ import annotations

import jax
import numpy as np
import pymc as pm
import pytensor.tensor as pt
from posterior_models.score import Fitted
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from scipy.stats import multivariate_normal

from thalweg.targets import Target

STEPS, DRAWS = 30_000, 32_768


def _operations(target: Target) -> Op:
    slope = jax.jit(jax.grad(target.log_density))
    value = jax.jit(target.log_density)

    class Gradient(Op):
        def make_node(self, u):
            u = pt.as_tensor_variable(u)
            return Apply(self, [u], [u.type()])

        def perform(self, node, inputs, outputs):
            outputs[0][0] = np.asarray(slope(inputs[0]), node.outputs[0].dtype)

    gradient = Gradient()

    class Density(Op):
        def make_node(self, u):
            return Apply(self, [pt.as_tensor_variable(u)], [pt.dscalar()])

        def perform(self, node, inputs, outputs):
            outputs[0][0] = np.asarray(value(inputs[0]), "float64")

        def grad(self, inputs, output_gradients):
            return [output_gradients[0] * gradient(inputs[0])]

    return Density()


def full_rank_advi(target: Target, seed: int) -> Fitted:
    """`pm.fit(method="fullrank_advi")`: one draw a step, as is its default; 30,000 steps."""
    density = _operations(target)
    with pm.Model():
        u = pm.Flat("u", shape=target.dim, initval=np.zeros(target.dim))
        pm.Potential("density", density(u))
        found = pm.fit(STEPS, method="fullrank_advi", random_seed=seed, progressbar=False)
    q = multivariate_normal(found.mean.eval(), found.cov.eval())
    x = np.atleast_2d(q.rvs(DRAWS, random_state=seed).reshape(DRAWS, target.dim))
    log_p = np.asarray(jax.jit(jax.vmap(target.log_density))(x))
    return Fitted(x, log_p - q.logpdf(x), {"last_loss": float(found.hist[-1])})
