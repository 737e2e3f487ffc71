"""What is done to columns before a flow sees them, with log-determinants: host arithmetic."""
