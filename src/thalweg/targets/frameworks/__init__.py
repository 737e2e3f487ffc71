"""Densities of models written for NumPyro, PyMC and Stan, compared with the framework's own."""
