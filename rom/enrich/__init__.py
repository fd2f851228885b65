"""Bases that grow where the error is."""
