"""Two modules a library.

Those that end in `_step` or `_loop`, and `plain_jax`, hold `planar` and/or `real_nvp`, which give
a run of training steps on a target; those that end in `_data` hold `spline_ar`, `maf` and
`spline_coupling`, which give the three tasks on data.
"""
