"""Regression of reduced coefficients."""
