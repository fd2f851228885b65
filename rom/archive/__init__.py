"""Nouns as sealed files."""
