"""The grammars of what crosses the border: addresses and company numbers that come in, values that go out in files."""
