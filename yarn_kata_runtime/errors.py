"""The one kind of error that a user is meant to read."""


class Refused(Exception):
    """The container is not created, or the verb not done: one sentence with the value and what to do."""
