"""Few points in place of many."""
