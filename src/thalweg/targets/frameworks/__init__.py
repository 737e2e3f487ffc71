"""Densities of models written for NumPyro, PyMC and Stan, one folder a framework.

Each declares parameters with the framework's own transforms, and is compared with the framework's
density at random points by `agreement.py`.
"""
