"""Normalised densities: bases, and flows, which push a base through a bijection."""

from thalweg.distributions.binary_made import BinaryMADE as BinaryMADE
from thalweg.distributions.blend import Blend as Blend
from thalweg.distributions.dequantised import Dequantised as Dequantised
from thalweg.distributions.dequantised import bits_per_dimension as bits_per_dimension
from thalweg.distributions.distribution import Distribution as Distribution
from thalweg.distributions.ensemble import Ensemble as Ensemble
from thalweg.distributions.flow import Flow as Flow
from thalweg.distributions.kernel_density import KernelDensity as KernelDensity
from thalweg.distributions.linear_shift import LinearShift as LinearShift
from thalweg.distributions.masks import shuffled as shuffled
from thalweg.distributions.mixture import GaussianMixture as GaussianMixture
from thalweg.distributions.normal import DiagonalNormal as DiagonalNormal
from thalweg.distributions.normal import FullNormal as FullNormal
from thalweg.distributions.normal import StandardNormal as StandardNormal
from thalweg.distributions.student_t import StudentT as StudentT
from thalweg.distributions.uniform import Uniform as Uniform
