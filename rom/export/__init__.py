"""Files, pictures, tables."""
