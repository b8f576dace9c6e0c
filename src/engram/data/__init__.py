"""From what the user has to batches: source, table, inferred features, splits, the prepared store, the loader."""
