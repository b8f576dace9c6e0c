"""The fields of a record: what one column of a table is, how it is read, and what networks and trees see of it."""
