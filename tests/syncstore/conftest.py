"""How hypothesis runs here: the same examples every time, few enough for every day."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "syncstore", derandomize=True, deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("syncstore")
