"""Providers that misbehave as the real ones do, for benches and tests."""
