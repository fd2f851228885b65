"""Designs of experiments."""
