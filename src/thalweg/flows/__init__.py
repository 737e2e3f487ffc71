"""Recipes: flows by the names of their papers, one family a file.

`build("planar", key, dim=2, layers=32)` gives a `Flow` near the identity on a standard normal
base. A recipe is a dozen lines over the bijections; add one with the `recipe` decorator in a file
of this folder, and name the file below.
"""

# Importing a family registers its recipes.
from thalweg.flows import autoregressive as autoregressive
from thalweg.flows import baselines as baselines
from thalweg.flows import circular_spline as circular_spline
from thalweg.flows import continuous as continuous
from thalweg.flows import convolution as convolution
from thalweg.flows import glow as glow
from thalweg.flows import monotone as monotone
from thalweg.flows import neural_spline as neural_spline
from thalweg.flows import nice as nice
from thalweg.flows import planar_radial as planar_radial
from thalweg.flows import real_nvp as real_nvp
from thalweg.flows import residual as residual
from thalweg.flows import sylvester as sylvester
from thalweg.flows.recipe import RECIPES as RECIPES
from thalweg.flows.recipe import Recipe as Recipe
from thalweg.flows.recipe import build as build
from thalweg.flows.recipe import find as find
from thalweg.flows.recipe import names as names
from thalweg.flows.recipe import recipe as recipe
