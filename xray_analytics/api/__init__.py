"""Talking to the service: requests in, bytes out."""
