"""The built-in densities, by family, and what their facts and draws are computed with."""
