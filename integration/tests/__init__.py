"""What holds on the real cluster: `pytest integration/tests` as root, one cluster for all of it."""
