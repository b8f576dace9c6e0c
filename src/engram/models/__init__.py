"""The networks: one file per architecture, all built through one door (`build.py`)."""
