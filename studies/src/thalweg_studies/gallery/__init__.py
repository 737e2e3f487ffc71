"""The flow gallery: every recipe on six data sets and four energies, with equal budgets."""
