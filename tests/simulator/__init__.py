"""Providers that misbehave as the real ones do."""
