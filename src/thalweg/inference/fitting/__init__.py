"""The fits of an inference: a full-rank Gaussian, and the flow in its coordinates."""
