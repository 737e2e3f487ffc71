"""Latent models with flow posteriors side by side: what the studies of images share."""
