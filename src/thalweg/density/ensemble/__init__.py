"""Flows of prepared columns: fitted side by side, scored on held-out rows, averaged."""
