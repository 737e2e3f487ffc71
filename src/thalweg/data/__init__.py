"""Data sets: points in the plane, images by name, and arrays of images."""

from thalweg.data.catalogue import DATASETS as DATASETS
from thalweg.data.catalogue import Splits as Splits
from thalweg.data.catalogue import load as load
from thalweg.data.coerce_images import as_observations as as_observations
from thalweg.data.observations import Bits as Bits
from thalweg.data.observations import Grey as Grey
from thalweg.data.observations import Observations as Observations
from thalweg.data.observations import Reals as Reals
from thalweg.data.toy import TOYS as TOYS
from thalweg.data.toy import toy as toy
