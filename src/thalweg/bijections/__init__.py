"""Invertible maps x = f(z | context), one family a file."""

from typing import TYPE_CHECKING, Any

from thalweg.bijections.act_norm import ActNorm as ActNorm
from thalweg.bijections.affine import FixedAffine as FixedAffine
from thalweg.bijections.affine import FullAffine as FullAffine
from thalweg.bijections.affine import TriangularAffine as TriangularAffine
from thalweg.bijections.autoregressive import Autoregressive as Autoregressive
from thalweg.bijections.bijection import Bijection as Bijection
from thalweg.bijections.bijection import Parametric as Parametric
from thalweg.bijections.chain import Chain as Chain
from thalweg.bijections.continuous import Continuous as Continuous
from thalweg.bijections.convolution import CircularConvolution as CircularConvolution
from thalweg.bijections.convolution import SymmetricConvolution as SymmetricConvolution
from thalweg.bijections.coupling import Coupling as Coupling
from thalweg.bijections.elementwise import ElementwiseAffine as ElementwiseAffine
from thalweg.bijections.elementwise import Scaling as Scaling
from thalweg.bijections.elementwise_transform import (
    ElementwiseTransform as ElementwiseTransform,
)
from thalweg.bijections.empirical import EmpiricalInverseCDF as EmpiricalInverseCDF
from thalweg.bijections.estimated import exact as exact
from thalweg.bijections.estimated import in_training as in_training
from thalweg.bijections.estimated import with_noise as with_noise
from thalweg.bijections.factor_out import FactorOut as FactorOut
from thalweg.bijections.gaussian_conditionals import GaussianConditionals as GaussianConditionals
from thalweg.bijections.inverse import Inverse as Inverse
from thalweg.bijections.logit import Logit as Logit
from thalweg.bijections.orthogonal import Householder as Householder
from thalweg.bijections.orthogonal import Rotation as Rotation
from thalweg.bijections.per_position import PerPosition as PerPosition
from thalweg.bijections.permutation import FixedRotation as FixedRotation
from thalweg.bijections.permutation import Permutation as Permutation
from thalweg.bijections.phase_shift import PhaseShift as PhaseShift
from thalweg.bijections.planar import Planar as Planar
from thalweg.bijections.radial import Radial as Radial
from thalweg.bijections.repeat import Repeat as Repeat
from thalweg.bijections.reshaped import Reshaped as Reshaped
from thalweg.bijections.residual import Residual as Residual
from thalweg.bijections.rosenblatt import Conditionals as Conditionals
from thalweg.bijections.rosenblatt import Rosenblatt as Rosenblatt
from thalweg.bijections.s_log import SLogGate as SLogGate
from thalweg.bijections.squeezed import Squeezed as Squeezed
from thalweg.bijections.sylvester import Sylvester as Sylvester
from thalweg.bijections.triangular import TriangularPolynomial as TriangularPolynomial
from thalweg.bijections.vector_coupling import VectorCoupling as VectorCoupling

if not TYPE_CHECKING:  # a type checker is to know the names there are

    def __getattr__(name: str) -> Any:
        from thalweg.renamed import find_renamed

        return find_renamed(__name__, name)
