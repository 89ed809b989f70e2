"""Measurements: lakes of models really trained with known truth, scoring, and what others do on the same lakes.

Nothing in the product imports this package.
"""
