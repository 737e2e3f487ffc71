"""Transformers: monotone maps of one number, whose parameters a conditioner supplies."""

from thalweg.bijections.transformers.affine import Affine as Affine
from thalweg.bijections.transformers.affine import Shift as Shift
from thalweg.bijections.transformers.bernstein import Bernstein as Bernstein
from thalweg.bijections.transformers.deep_sigmoidal import DeepSigmoidal as DeepSigmoidal
from thalweg.bijections.transformers.linear_rational import LinearRational as LinearRational
from thalweg.bijections.transformers.monotone import LinearTails as LinearTails
from thalweg.bijections.transformers.monotone import Monotone as Monotone
from thalweg.bijections.transformers.polynomial_splines import LinearSpline as LinearSpline
from thalweg.bijections.transformers.polynomial_splines import QuadraticSpline as QuadraticSpline
from thalweg.bijections.transformers.rational_quadratic import Circular as Circular
from thalweg.bijections.transformers.rational_quadratic import (
    RationalQuadratic as RationalQuadratic,
)
from thalweg.bijections.transformers.sum_of_squares import SumOfSquares as SumOfSquares
from thalweg.bijections.transformers.transformer import Transformer as Transformer
from thalweg.bijections.transformers.umnn import UMNN as UMNN
