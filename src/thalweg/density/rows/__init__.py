"""Rows of finite numbers from tables of all kinds, in memory or shuffled on disk."""
