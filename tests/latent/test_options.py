"""The options of a latent model: checked once, and the same after they went through a record."""

import inspect
import json
from dataclasses import MISSING, fields

import pytest

from thalweg.latent import LatentGaussianModel
from thalweg.latent.options import NETWORKS, LatentOptions


def test_keywords_that_went_through_json_make_the_same_options():
    options = LatentOptions(latent=[3, 2], flow="maf", hidden=[8], flow_options={"layers": 2})
    keywords = json.loads(json.dumps(options.to_keywords()))
    assert LatentGaussianModel(**keywords, progress=False).options == options


def test_defaults_are_those_of_the_model():
    model = inspect.signature(LatentGaussianModel.__init__).parameters
    defaults = {
        one.name: one.default for one in fields(LatentOptions) if one.default is not MISSING
    }
    assert defaults == {name: model[name].default for name in defaults}
    assert set(model) - set(defaults) == {"self", "progress", "flow_options"}


def test_networks_have_widths_of_their_own():
    for network, widths in NETWORKS.items():
        assert LatentOptions(network=network).widths == widths
        assert LatentOptions(network=network, hidden=(4,)).widths == (4,)


def test_a_number_and_a_list_of_latent_variables():
    assert LatentOptions(latent=3).layer_sizes == (3,)
    assert LatentOptions(latent=[3, 2]).layer_sizes == (3, 2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"latent": []}, "latent must be a whole number of at least 1"),
        ({"latent": "many"}, "latent must be"),
        ({"prior": "wide"}, "unknown flow 'wide'"),
        ({"annealed": "all"}, "unknown annealed 'all'; known: likelihood, kl"),
        ({"free_bits": -1}, "free_bits must be a finite number of at least 0, got -1"),
        ({"augment": 2}, r"augment must be a finite number in \[0, 1\], got 2"),
        ({"warm_up": float("nan")}, r"warm_up must be a finite number in \[0, 1\], got nan"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"batch_size": 2.5}, "batch_size must be a whole number of at least 1"),
    ],
)
def test_impossible_options_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        LatentOptions(**options)
