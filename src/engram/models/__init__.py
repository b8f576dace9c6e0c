"""The networks: one file per architecture, all built through one door (`build.py`)."""

NOT_PARTS = ("delivered", "delivered_forecast", "delivered_number", "delivered_ranking", "layers", "token_blend")
"""Files here that are no architecture."""
