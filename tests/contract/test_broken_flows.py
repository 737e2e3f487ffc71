"""Each check of the contract of flows fails on a flow broken on purpose, as those of maps do."""

import jax
import jax.numpy as jnp
import pytest

from contract import flow_checks, probes
from thalweg import flows
from thalweg.bijections import Radial
from thalweg.distributions import Flow, StandardNormal

pytestmark = pytest.mark.slow


class FlowLogDetSign(Flow):
    """ln q₀(z) minus the inverse's log-determinant."""

    def log_prob(self, x, context=None):
        z, log_det = jax.vmap(self.bijection.inverse_and_log_det)(x)
        return self.base.log_prob(z) - log_det

    def sample_and_log_prob(self, key, shape=(), context=None):
        x = self.sample(key, shape, context)
        return x, self.log_prob(x, context)


class FlowBaseDensity(Flow):
    """ln q₀(z) in place of ln q(x)."""

    def sample_and_log_prob(self, key, shape=(), context=None):
        x = self.sample(key, shape, context)
        return x, self.base.log_prob(jax.vmap(self.bijection.inverse)(x))


class FlowBackwards(Flow):
    """Draws through the inverse map."""

    def sample(self, key, shape=(), context=None):
        return jax.vmap(self.bijection.inverse)(self.base.sample(key, shape))

    def sample_and_log_prob(self, key, shape=(), context=None):
        x = self.sample(key, shape, context)
        return x, self.log_prob(x, context)


class FlowDrawsOfBase(Flow):
    """An expectation under the base instead of the flow."""

    def expectation(self, h, key, n, context=None):
        return self.base.expectation(h, key, n)


class FlowSumsLogDet(Flow):
    """The log-determinant summed over the batch."""

    def log_prob(self, x, context=None):
        points = x.reshape(-1, *self.shape)
        z, log_det = jax.vmap(self.bijection.inverse_and_log_det)(points)
        return (self.base.log_prob(z) + jnp.sum(log_det)).reshape(x.shape[:-1])


class FlowNormOverBatch(Flow):
    """A radial map whose r is the norm over the whole batch."""

    def log_prob(self, x, context=None):
        points = x.reshape(-1, *self.shape)
        radial = self.bijection
        params = radial.parameters()
        r = jnp.sqrt(jnp.sum((points - params.centre) ** 2))
        z = params.centre + (points - params.centre) * (
            (r + params.alpha) / (r + params.alpha_plus_beta)
        )
        return (self.base.log_prob(z) - radial._log_det(params, r)).reshape(x.shape[:-1])


def _flow(kind, bijection=None):
    if bijection is None:
        bijection = flows.build("planar", jax.random.key(0), 2, layers=2).bijection
        bijection = probes.randomised(bijection, jax.random.key(1), 0.5)
    return kind(StandardNormal((2,)), bijection)


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        (FlowLogDetSign, "check_normalised"),
        (FlowBaseDensity, "check_same_density"),
        (FlowBackwards, "check_samples_follow_density"),
        (FlowDrawsOfBase, "check_expectation"),
    ],
)
def test_broken_flows_are_caught(kind, check):
    record = flow_checks.study(_flow(kind), jax.random.key(2))
    with pytest.raises(AssertionError):
        getattr(flow_checks, check)(record)


def test_batch_dependence_is_caught():
    key = jax.random.key(0)
    with pytest.raises(AssertionError):
        flow_checks.check_batches(_flow(FlowSumsLogDet), key)
    radial = probes.randomised(Radial(2, key=key), key, 1.0)
    flow_checks.check_batches(_flow(Flow, radial), key)
    with pytest.raises(AssertionError):
        flow_checks.check_batches(_flow(FlowNormOverBatch, radial), key)
