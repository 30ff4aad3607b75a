"""Composed operators without domain knowledge."""
