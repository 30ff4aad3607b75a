"""Dashboards and the README's table of metrics, made from the list in ``schemas.metrics``."""
