"""A latent Gaussian model in torch without its flow: networks, batches, the bound."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

import torch
from cases import Latent, images
from timing import Run

from libraries.torch_training import training

# (mean, log-scale) -> z and ln q(z | x), for the rows of a batch
Posterior = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def latent_training(
    case: Latent, posterior: Posterior, parameters: Iterable[torch.nn.Parameter]
) -> Run:
    """Eager steps on the bound with one draw an image."""
    data = torch.as_tensor(images(case)).reshape(case.rows, -1).float()
    pixels = data.shape[1]
    encoder = _network([pixels, *case.hidden], 2 * case.latent)
    decoder = _network([case.latent, *reversed(case.hidden)], pixels)
    prior = torch.distributions.Normal(0.0, 1.0, validate_args=False)

    def loss() -> torch.Tensor:
        x = data[torch.randint(len(data), (case.batch,))]
        mean, log_scale = encoder(x).chunk(2, -1)
        z, log_q = posterior(mean, log_scale)
        error = torch.nn.functional.binary_cross_entropy_with_logits(
            decoder(z), x, reduction="none"
        )
        return (log_q - prior.log_prob(z).sum(-1) + error.sum(-1)).mean()

    return training([*encoder.parameters(), *decoder.parameters(), *parameters], loss)


def _network(sizes: list[int], outputs: int) -> torch.nn.Sequential:
    layers: list[torch.nn.Module] = []
    for a, b in pairwise(sizes):
        layers += [torch.nn.Linear(a, b), torch.nn.SiLU()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(sizes[-1], outputs))
