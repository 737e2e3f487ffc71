"""Files from anywhere: what they are and how much they declare, before any of it is read."""
