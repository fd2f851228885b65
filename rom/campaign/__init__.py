"""Campaigns, the store, journals and leases."""
