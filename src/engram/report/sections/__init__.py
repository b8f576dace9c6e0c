"""The sections of the report, one file each: from facts to words and pictures."""
