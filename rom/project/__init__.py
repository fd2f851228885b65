"""Reduced models by projection."""
