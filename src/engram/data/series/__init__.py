"""Series: from the rows of a table to histories, and from histories to windows."""
