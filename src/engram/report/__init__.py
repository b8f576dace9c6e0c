"""What the network learned, shown: report.html and the model card."""

from engram.report.build import build
from engram.report.facts import SECONDS

__all__ = ["SECONDS", "build"]
