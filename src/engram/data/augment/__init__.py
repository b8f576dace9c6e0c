"""Random views of examples, as tensors for whole batches."""
