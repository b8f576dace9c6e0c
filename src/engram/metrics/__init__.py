"""Scores. Each file is one metric (file name = metric name) and keeps the contract in `metric.py`."""
