"""Meshes and fields in the files of other programs."""
