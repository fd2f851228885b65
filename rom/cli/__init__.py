"""The `rom` command, one file a command."""
