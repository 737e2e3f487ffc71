"""Job 3: observations -> a deep latent Gaussian model whose posterior is a flow."""

from thalweg.latent.decoder import Decoder as Decoder
from thalweg.latent.decoder import DeepDecoder as DeepDecoder
from thalweg.latent.evaluation import Evaluation as Evaluation
from thalweg.latent.evaluation import evaluate as evaluate
from thalweg.latent.latent_gaussian_model import LatentGaussianModel as LatentGaussianModel
from thalweg.latent.likelihoods import LIKELIHOODS as LIKELIHOODS
from thalweg.latent.likelihoods import Bernoulli as Bernoulli
from thalweg.latent.likelihoods import DiscretisedLogistic as DiscretisedLogistic
from thalweg.latent.likelihoods import Gaussian as Gaussian
from thalweg.latent.likelihoods import Likelihood as Likelihood
from thalweg.latent.likelihoods import LogitNormal as LogitNormal
from thalweg.latent.model import LatentModel as LatentModel
from thalweg.latent.model import Terms as Terms
from thalweg.latent.model import linear_start as linear_start
from thalweg.latent.objective import EvidenceBound as EvidenceBound
