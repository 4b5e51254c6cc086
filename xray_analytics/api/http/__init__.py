"""One call over HTTP."""
