"""Find ports on 127.0.0.1 that nobody listens on."""

import random
import socket
from collections.abc import Container

HOST = "127.0.0.1"
_BELOW_EPHEMERAL = range(20_000, 32_000)  # an outgoing connection never takes one of these between choice and use


def is_free(port: int) -> bool:
    """Tell whether the port can be listened on: nobody answers there, and the system lets us bind it."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        if probe.connect_ex((HOST, port)) == 0:
            return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections in TIME_WAIT do not count
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def next_free(first: int) -> int:
    """Return the first free port from `first` upwards."""
    return next(port for port in range(first, 65_536) if is_free(port))


def any_free(taken: Container[int] = ()) -> int:
    """Return some free port that is not in `taken`."""
    while True:
        port = random.choice(_BELOW_EPHEMERAL)
        if port not in taken and is_free(port):
            return port
