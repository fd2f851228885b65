"""Bases from snapshots."""
