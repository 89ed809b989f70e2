"""Certain transformations: what a pair of versions shows when one was made from the other by a known operation."""
