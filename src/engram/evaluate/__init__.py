"""Scores with intervals, calibration, unfamiliarity, comparison."""
