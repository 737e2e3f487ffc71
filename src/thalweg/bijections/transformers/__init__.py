"""Transformers: monotone maps of one number, whose parameters a conditioner supplies."""

from thalweg.bijections.transformers.affine import Affine as Affine
from thalweg.bijections.transformers.affine import Shift as Shift
from thalweg.bijections.transformers.transformer import Transformer as Transformer
