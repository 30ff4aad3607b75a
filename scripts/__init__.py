"""The `farwatch` command and what developers run."""
