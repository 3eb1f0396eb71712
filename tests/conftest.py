"""What every test has: hypothesis profiles. `make soak` runs the long one; seeds are printed by every failure."""

from hypothesis import HealthCheck, settings

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("soak", settings.get_profile("default"), max_examples=3000)
settings.load_profile("default")
