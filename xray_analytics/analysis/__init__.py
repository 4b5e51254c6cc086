"""Pure functions from frames to small frames."""
