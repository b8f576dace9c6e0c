"""Cheap strong baselines: the score a network has to beat before it is worth anything."""
