"""One module a library; each has `planar` and/or `real_nvp`, which give a run of training steps."""
