"""Files from untrusted sources: kinds and declared sizes are checked before reading."""
