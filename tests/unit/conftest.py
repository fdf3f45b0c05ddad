"""How hard hypothesis tries; --hypothesis-profile=thorough tries for minutes."""

from hypothesis import HealthCheck, settings

# Without a deadline, as a busy machine is no reason to fail.
settings.register_profile(
    "quick", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "thorough", max_examples=3000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("quick")
