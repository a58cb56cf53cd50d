"""The state of each application: its codec, the pure logic on it, and its declaration."""
