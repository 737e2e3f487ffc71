"""The built-in densities, one family a file, with their facts and exact draws.

A further one is a function that returns a `Target`, and a line in `targets/registry.py`.
"""
