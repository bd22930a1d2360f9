"""Pictures larger than memory, in tiles that leave no seams."""
