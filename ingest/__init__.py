"""Bytes to records: a reader per format, cards and configs to claims, weights to fingerprints. Floor 1."""
