"""Measures the engine: ``vigil bench``. Not part of a deployment."""
