"""Settings for all tests."""

from hypothesis import settings

# A test is right or wrong, not fast or slow: a busy machine fails none.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
