"""Ask a broker in Kafka's own protocol whether it serves: one Metadata request, on a plain socket or after a login."""

import asyncio
import socket
import ssl
import struct
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

_METADATA, _VERSION = 3, 4
_CLIENT = b"penstock"


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the broker knows of its cluster."""

    brokers: tuple[int, ...]
    cluster_id: str | None
    controller: int


def metadata(host: str, port: int, timeout: float = 2.0) -> Metadata:
    """Fetch the metadata, without topics; OSError or ValueError if nobody answers in Kafka's words."""
    header = struct.pack(f">hhih{len(_CLIENT)}s", _METADATA, _VERSION, 1, len(_CLIENT), _CLIENT)
    body = header + struct.pack(">ib", 0, 0)  # no topics, create none
    with socket.create_connection((host, port), timeout) as connection:
        connection.settimeout(timeout)
        connection.sendall(struct.pack(">i", len(body)) + body)
        size = struct.unpack(">i", _read(connection, 4))[0]
        if not 0 < size < 1 << 20:
            raise ValueError(f"{host}:{port} does not speak Kafka's protocol")
        return _parse(_read(connection, size))


def secured_metadata(host: str, port: int, authority: Path, login: tuple[str, str, str]) -> Metadata:
    """Fetch it as a user that logs in (mechanism, name, password), by TLS; likewise."""
    from aiokafka.errors import KafkaError

    with ThreadPoolExecutor(1) as pool:  # a thread of its own: the caller's may have a loop that runs
        try:
            return pool.submit(asyncio.run, _logged_in(host, port, authority, login)).result()
        except KafkaError as error:
            raise ValueError(f"{host}:{port} does not answer: {error}") from None


async def _logged_in(host: str, port: int, authority: Path, login: tuple[str, str, str]) -> Metadata:
    from aiokafka.conn import AIOKafkaConnection
    from aiokafka.protocol.metadata import MetadataRequest

    mechanism, user, password = login
    connection = AIOKafkaConnection(
        host,
        port,
        request_timeout_ms=2_000,
        security_protocol="SASL_SSL",
        ssl_context=ssl.create_default_context(cafile=str(authority)),
        sasl_mechanism=mechanism,
        sasl_plain_username=user,
        sasl_plain_password=password,
    )
    await connection.connect()
    try:
        told = await connection.send(MetadataRequest([]))
        return Metadata(tuple(broker[0] for broker in told.brokers), told.cluster_id, told.controller_id)
    finally:
        await connection.close()


def _read(connection: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        chunk = connection.recv(size - len(received))
        if not chunk:
            raise ConnectionResetError("the connection was closed in the middle of an answer")
        received += chunk
    return bytes(received)


def _parse(answer: bytes) -> Metadata:
    """Read correlation id, throttle time, brokers, cluster id, controller; the topics after them are none."""
    reader = _Reader(answer, at=8)
    brokers = []
    for _ in range(reader.integer()):
        brokers.append(reader.integer())
        reader.string()
        reader.integer()
        reader.string()
    return Metadata(tuple(brokers), reader.string(), reader.integer())


class _Reader:
    """Walk through the bytes of an answer."""

    def __init__(self, answer: bytes, at: int) -> None:
        self._answer = answer
        self._at = at

    def integer(self) -> int:
        return int.from_bytes(self._take(4), signed=True)

    def string(self) -> str | None:
        length = int.from_bytes(self._take(2), signed=True)
        return None if length < 0 else self._take(length).decode()

    def _take(self, size: int) -> bytes:
        taken = self._answer[self._at : self._at + size]
        if len(taken) < size:
            raise ValueError("a Metadata answer was cut short")
        self._at += size
        return taken
