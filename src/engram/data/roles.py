"""What columns of interactions are called: users, items, ratings, times."""

from __future__ import annotations

import re

ROLES = ("user", "item", "rating", "time")

NAMED = {
    "user": r"(user|customer|client|member|reviewer|visitor|account|buyer|listener|reader|person|player|subscriber)",
    "item": r"(item|movie|film|product|isbn|asin|book|track|song|artist|article|sku|anime|game|recipe|beer|business|"
    r"course|show|video|title|hotel|restaurant|place)",
    "rating": r"(ratings?|stars|score|overall|preference|weight|plays|play_?count|count|quantity|feedback)",
    "time": r"(time|timestamp|date|datetime|when|created_at|review_time|unix_review_time|unix_time|ts|rated_at|"
    r"event_time|order_date|purchase_date|invoice_date)",
}
_AFFIX = {"user": r"([ _-]?(id|name|no|number|code|key))?s?", "item": r"([ _-]?(id|name|no|number|code|key|13|10))?s?"}
COUNTED = re.compile(r"(plays|play_?count|count|quantity|weight)")
"""What is called so says how often something was taken, not how it was liked."""


def called(role: str, name: str) -> bool:
    """Whether a column is called like a role: userId, user_id, USER-ID, reviewer name."""
    return re.fullmatch(rf"(the_)?{NAMED[role]}{_AFFIX.get(role, '')}", snake(name)) is not None


def snake(name: str) -> str:
    """userId -> user_id."""
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name.strip()).lower()
