"""Projected models with certified bounds."""
