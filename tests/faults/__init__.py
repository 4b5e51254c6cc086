"""Servers that fail on purpose."""
