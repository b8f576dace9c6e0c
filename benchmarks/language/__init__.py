"""One file per kind of measurement; each has `add_arguments(parser)` and `rows(arguments, machine_speed)`."""
