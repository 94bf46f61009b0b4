"""What all tests share: Hypothesis without clocks and without files in the tree."""

from hypothesis import settings

settings.register_profile("suite", deadline=None, database=None)
settings.load_profile("suite")
