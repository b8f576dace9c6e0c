"""What may be done between the steps, one callback per file."""
