"""An autoguide whose posterior is a flow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray
from numpyro import handlers
from numpyro.infer.autoguide import AutoContinuous
from numpyro.infer.initialization import init_to_uniform

from thalweg import flows
from thalweg.argument_checks import check_real_number, check_seed
from thalweg.bijections import ElementwiseAffine
from thalweg.compiling import jit_once
from thalweg.distributions import Flow, StandardNormal, Uniform
from thalweg.inference.arguments import as_flow
from thalweg.inference.defaults import choose_flow
from thalweg.numpyro.distribution import FlowDistribution
from thalweg.numpyro.transform import FlowTransform
from thalweg.objectives import GRADIENTS
from thalweg.tree import leaf_names, split_trainable

Model = Callable[..., Any]
Params = Mapping[str, Any]

QUANTILE_DRAWS = 10_000


class AutoFlow(AutoContinuous):
    """A guide over all latent sites of a NumPyro model: a flow of their unconstrained vector.

    The latent vector is u = loc + scale ⊙ y with y from the flow. Location and scale are trained
    with it; recipes begin near the identity, so the guide begins near N(loc, init_scale²). All that
    is trained is one param site, `{prefix}_flow`, a dictionary of arrays by name. What a flow holds
    fixed (permutations, whitening) is no part of it, and stays as it is.

    The guide works where NumPyro's own do: in `SVI`, `Predictive`, `NeuTraReparam`, and wherever a
    guide is asked for `sample_posterior`, `get_posterior` or `get_transform`. A flow is easier to
    wreck than a normal: a steep start or one far draw, at which the density overflows, can send it
    where no draw is finite. A slow start, clipping and `stable_update`, as below, make that rare
    and do not rule it out, so look at the losses. SVI has none of what `thalweg.infer` does about
    it (whitened starts, a guard, restarts).

    Args:
        model: A NumPyro model.
        flow: As in `thalweg.infer`: a recipe's name ("auto": `real_nvp`, or `planar` where there is
            one latent number); a `Flow`; or a function (key, dim) -> Flow.
        seed: The seed of the flow's weights and permutations.
        gradient: "total" is right for every objective. "path", for `Trace_ELBO` alone, drops the
            score term, which has mean zero, from the gradient (sticking the landing, Roeder et al.
            2017): its noise then vanishes as the guide approaches the posterior, at the cost of
            pushing the score through the flow; far from it, the noise may be larger.
        prefix: The prefix of the param site.
        init_loc_fn: NumPyro's choice of the first location.
        init_scale: The first scale.
        flow_options: Options of the recipe.

    Raises:
        ValueError: The flow, gradient, seed or scale is unknown; and, when the guide first meets
            the model, the flow does not have an option, does not fit or does not cover R^d, or the
            model has no latent site, or a discrete one.

    Example:
        >>> import jax, numpyro, optax
        >>> import numpyro.distributions as dist
        >>> from numpyro.infer import SVI, Trace_ELBO
        >>> from thalweg.numpyro import AutoFlow
        >>> def model(y):
        ...     numpyro.sample("y", dist.Normal(numpyro.sample("mu", dist.Normal()), 1.0), obs=y)
        >>> guide = AutoFlow(model, "planar", layers=2)
        >>> rate = optax.warmup_cosine_decay_schedule(0.0, 5e-3, 2, 10)
        >>> optimiser = optax.chain(optax.clip_by_global_norm(10.0), optax.adam(rate))
        >>> svi = SVI(model, guide, optimiser, Trace_ELBO(num_particles=8))
        >>> fit = svi.run(jax.random.key(0), 10, 1.5, stable_update=True, progress_bar=False)
        >>> guide.sample_posterior(jax.random.key(1), fit.params, sample_shape=(5,))["mu"].shape
        (5,)
    """

    def __init__(
        self,
        model: Model,
        flow: str | Flow | Callable[[PRNGKeyArray, int], Flow] = "auto",
        *,
        seed: int = 0,
        gradient: str = "total",
        prefix: str = "auto",
        init_loc_fn: Callable[..., Any] = init_to_uniform,
        init_scale: float = 0.1,
        **flow_options: Any,
    ):
        if isinstance(flow, str) and flow != "auto":
            flows.find(flow)  # an unknown name speaks now, its options when the dimension is known
        if not isinstance(flow, str | Flow) and not callable(flow):
            raise ValueError(
                f"flow must be a name, a Flow or a function (key, dim) -> Flow, got {flow!r:.60}"
            )
        if gradient not in GRADIENTS:
            raise ValueError(f"gradient must be 'path' or 'total', got {gradient!r:.80}")
        self._asked, self._options = flow, flow_options
        self._seed, self._gradient = check_seed(seed), gradient
        self._init_scale = check_real_number("init_scale", init_scale, above=0)
        super().__init__(model, prefix=prefix, init_loc_fn=init_loc_fn)

    # --- set-up ----------------------------------------------------------------------------------

    def _setup_prototype(self, *args: Any, **kwargs: Any) -> None:
        _check_sites(self.model, args, kwargs)
        try:
            super()._setup_prototype(*args, **kwargs)
            self._make_flow()
        except BaseException:
            self.prototype_trace = None  # a guide that could not be set up has not met its model
            raise

    def _make_flow(self) -> None:
        dim = int(self.latent_dim)
        # Even where the caller is being compiled, what is fixed must outlive it.
        with jax.ensure_compile_time_eval():
            flow, options = choose_flow(self._asked, self._options, dim)
            _, make = as_flow(flow, dim, options)
            flow = jit_once(make)(jax.random.key(self._seed))
            frame = ElementwiseAffine((dim,))
        if isinstance(flow.base, Uniform):
            raise ValueError(
                "the flow lives in a box, but unconstrained latent sites are all of R^d: choose "
                "one whose base covers it"
            )
        scale = jnp.full(dim, jnp.log(self._init_scale))
        start = (jnp.asarray(self._init_latent, scale.dtype), scale)
        frame = eqx.tree_at(lambda f: f.raw.free, frame, start)
        framed = flow.then(frame)
        trained, self._fixed = split_trainable(framed)
        leaves, self._structure = jax.tree.flatten(trained)
        self._initial = dict(zip(leaf_names(trained), leaves, strict=True))

    def _flow(self, leaves: Mapping[str, Array]) -> Flow:
        """The flow with these trained leaves."""
        found = [leaves[name] for name in self._initial]
        return cast(Flow, eqx.combine(jax.tree.unflatten(self._structure, found), self._fixed))

    @property
    def _site(self) -> str:
        return f"{self.prefix}_flow"

    def flow(self, params: Params) -> Flow:
        """The flow of unconstrained latent vectors (d,) at these params: a `Flow` of thalweg.

        Raises `ValueError` where the guide has not met its model yet, or the params are not its.
        """
        if self.prototype_trace is None:
            raise ValueError(
                "the guide has not met its model yet: run SVI.init, or call it once with the "
                "model's arguments"
            )
        leaves = params.get(self._site)
        shapes = {name: jnp.shape(leaf) for name, leaf in self._initial.items()}
        given = leaves if isinstance(leaves, Mapping) else {}
        if {name: jnp.shape(leaf) for name, leaf in given.items()} != shapes:
            raise ValueError(
                f"the params have no {self._site!r} of this guide's flow: they belong to a guide "
                "of another prefix, flow or model"
            )
        return self._flow(given)

    # --- what NumPyro asks -----------------------------------------------------------------------

    def _get_posterior(self) -> FlowDistribution:
        leaves = numpyro.param(self._site, self._initial)
        return FlowDistribution(self._flow(leaves), self._gradient)

    def get_base_dist(self) -> dist.Distribution:
        """The density that `get_transform` pushes forward: of the flow's base, event shape (d,)."""
        base = self._flow(self._initial).base
        if isinstance(base, StandardNormal):
            return dist.Normal(jnp.zeros(self.latent_dim), 1).to_event(1)
        return FlowDistribution(base)

    def get_transform(self, params: Params) -> FlowTransform:
        """The flow's map from base to unconstrained latent vectors, location and scale included."""
        return FlowTransform(self.flow(params).bijection)

    def get_posterior(self, params: Params) -> FlowDistribution:
        """The distribution of unconstrained latent vectors, event shape (d,)."""
        return FlowDistribution(self.flow(params))

    def quantiles(
        self, params: Params, quantiles: Float[ArrayLike, "*levels"] | Sequence[float]
    ) -> dict[str, Any]:
        """Quantiles of every number of every site, (*quantiles.shape, *site): of 10,000 draws.

        A flow's marginals have no closed form; the draws are always the same. Of deterministic
        sites too.
        """
        levels = jnp.asarray(quantiles)
        key = jax.random.fold_in(jax.random.key(self._seed), 1)
        draws = self._unpack_and_constrain(
            self.flow(params).sample(key, (QUANTILE_DRAWS,)), dict(params)
        )
        return jax.tree.map(lambda x: jnp.quantile(x.astype(float), levels, axis=0), draws)

    def median(self, params: Params) -> dict[str, Any]:
        """The median of every number of every site, as `quantiles` has it."""
        return self.quantiles(params, 0.5)


def _check_sites(model: Model, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raise `ValueError` where a latent site is discrete, or there is none."""
    name = getattr(model, "__name__", type(model).__name__)
    # Sites without a sampler, such as an improper uniform, get a value all the same.
    begun = handlers.substitute(handlers.seed(model, rng_seed=0), substitute_fn=init_to_uniform)
    with handlers.block():
        trace = handlers.trace(begun).get_trace(*args, **kwargs)
    latent = {k: s for k, s in trace.items() if s["type"] == "sample" and not s["is_observed"]}
    for label, site in latent.items():
        if site["fn"].support.is_discrete:
            raise ValueError(
                f"site {label!r} of the model {name!r} is discrete; a flow needs continuous latent "
                "sites: sum it out of the density"
            )
    if not latent:
        raise ValueError(f"the model {name!r} has no latent sites: there is nothing to guide")
