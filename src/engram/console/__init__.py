"""What a person sees in the terminal: events while something runs, tables once it has.

On a terminal: colours (unless NO_COLOR is set) and one live line. Elsewhere: few plain lines without
control codes, so that logs stay readable.
"""

from __future__ import annotations

from engram.console.results import (
    show_answers,
    show_comparison,
    show_inspection,
    show_promotion,
    show_reasons,
    show_recommendations,
    show_scores,
)
from engram.console.terminal import Terminal, showing
from engram.console.values import print_csv, print_json

__all__ = [
    "Terminal", "print_csv", "print_json", "show_answers", "show_comparison", "show_inspection", "show_promotion",
    "show_reasons", "show_recommendations", "show_scores", "showing",
]  # fmt: skip
