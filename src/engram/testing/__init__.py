"""Contract checks that engram and third-party packages run on their parts."""
