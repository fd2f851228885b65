"""Campaigns, the store, the archive of nouns."""
