"""The experiments of the papers, each a command that leaves a table, pictures and its origin."""
