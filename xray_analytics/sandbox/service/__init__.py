"""The API that serves them."""
