"""What can go wrong with the local model; every message says what to do.

LocalModelError
├── NotInstalledError   a package is missing
└── ModelStartError     the server died or did not answer
"""


class LocalModelError(Exception):
    """Base of all of them: catch this one."""


class NotInstalledError(LocalModelError):
    """A package is missing. Operator action: run the pip line named."""


class ModelStartError(LocalModelError):
    """The server did not come up. Operator action: read what it said, which the message quotes."""
