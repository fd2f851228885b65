"""Local bases."""
