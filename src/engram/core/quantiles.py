"""The quantiles by which a forecast says how sure it is."""

QUANTILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Shares of outcomes that stay below each; the first and the last enclose 80 %."""
