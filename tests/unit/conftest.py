"""Settings of the property tests: enough examples to find things, few enough to stay fast."""

from hypothesis import HealthCheck, settings

# the first call of a kernel compiles it, which no deadline survives
settings.register_profile(
    "unit", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unit")
