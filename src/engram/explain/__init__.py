"""What the network learned, computed."""
