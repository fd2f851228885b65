"""Hyper-reduced solids."""
