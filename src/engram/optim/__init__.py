"""How weights move: optimizers, schedules, averages, and scaling from one dial."""
