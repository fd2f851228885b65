"""Batch jobs: a site's profile, the parts of a campaign, their scripts, the queue, and what to do about a failure."""
