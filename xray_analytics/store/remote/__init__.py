"""A store at another place: published to it, read from it."""
