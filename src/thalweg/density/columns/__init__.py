"""Maps of columns to the coordinates of a flow, with log-determinants, on the host."""
