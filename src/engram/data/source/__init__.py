"""What a path or Python object holds, read into a Table: one file per form of data."""
