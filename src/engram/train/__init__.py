"""When: plan, loop, checkpoints, precision. Nothing here can tell whose network it trains."""
