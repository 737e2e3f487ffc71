"""Invertible maps x = f(z | context), one family a file."""

from thalweg.bijections.affine import FullAffine as FullAffine
from thalweg.bijections.affine import TriangularAffine as TriangularAffine
from thalweg.bijections.affine import Whitening as Whitening
from thalweg.bijections.autoregressive import Autoregressive as Autoregressive
from thalweg.bijections.bijection import Bijection as Bijection
from thalweg.bijections.bijection import Parametric as Parametric
from thalweg.bijections.chain import Chain as Chain
from thalweg.bijections.continuous import Continuous as Continuous
from thalweg.bijections.coupling import Coupling as Coupling
from thalweg.bijections.elementwise import ElementwiseAffine as ElementwiseAffine
from thalweg.bijections.elementwise import Scaling as Scaling
from thalweg.bijections.estimated import exact as exact
from thalweg.bijections.estimated import with_noise as with_noise
from thalweg.bijections.inverse import Inverse as Inverse
from thalweg.bijections.permutation import FixedRotation as FixedRotation
from thalweg.bijections.permutation import Permutation as Permutation
from thalweg.bijections.planar import Planar as Planar
from thalweg.bijections.radial import Radial as Radial
from thalweg.bijections.repeat import Repeat as Repeat
from thalweg.bijections.reshaped import Reshaped as Reshaped
from thalweg.bijections.residual import Residual as Residual
from thalweg.bijections.sylvester import Sylvester as Sylvester
