"""Parameters by name over a flat unconstrained vector."""

from thalweg.parameters.parameters import Parameters as Parameters
from thalweg.parameters.parameters import Shape as Shape
from thalweg.parameters.parameters import Tree as Tree
