"""One file per application of deep learning."""
