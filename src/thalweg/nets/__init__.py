"""Conditioners: the networks that turn inputs and a context into the parameters of a map."""

from thalweg.nets.activations import ACTIVATIONS as ACTIVATIONS
from thalweg.nets.amortised import Amortised as Amortised
from thalweg.nets.autoregressive import AutoregressiveConditioner as AutoregressiveConditioner
from thalweg.nets.conditioner import Conditioner as Conditioner
from thalweg.nets.convolution import ConvolutionalNet as ConvolutionalNet
from thalweg.nets.gru import GRU as GRU
from thalweg.nets.linear import Linear as Linear
from thalweg.nets.lipschitz import EventNet as EventNet
from thalweg.nets.lipschitz import LipschitzNet as LipschitzNet
from thalweg.nets.masked_mlp import MaskedMLP as MaskedMLP
from thalweg.nets.masked_residual_mlp import MaskedResidualMLP as MaskedResidualMLP
from thalweg.nets.mlp import MLP as MLP
from thalweg.nets.periodic import PeriodicMLP as PeriodicMLP
from thalweg.nets.residual_mlp import ResidualMLP as ResidualMLP
