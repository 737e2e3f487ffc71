"""Where a fit begins: points, the modes they lead to, and Gaussians compared by their ELBO."""
