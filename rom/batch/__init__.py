"""Campaigns as batch jobs."""
