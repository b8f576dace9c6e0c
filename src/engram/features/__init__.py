"""What one value is: an image, a category, ... How it is read, prepared, fitted, encoded, decoded, saved.

Each file is one feature and each feature keeps the contract in `feature.py`.
"""

NOT_PARTS = ("saved",)
