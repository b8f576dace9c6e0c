"""What the network learned, shown: report.html and the model card."""
