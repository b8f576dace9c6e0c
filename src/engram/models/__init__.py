"""The networks: one file per architecture, all built through one door (`build.py`)."""

NOT_PARTS = ("delivered", "layers", "token_blend")
"""Files here that are no architecture."""
