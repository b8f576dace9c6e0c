"""What the network learned, shown: report.html and the model card."""

from engram.report.build import build

__all__ = ["build"]
