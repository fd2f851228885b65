"""Benchmarks: ours, each peer and the physical limit from one run, as ratios."""
