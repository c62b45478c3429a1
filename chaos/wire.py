"""A proxy between a client and PostgreSQL that loses the connection when it is told to."""

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
"""The message of the protocol: a query of eleven bytes."""
COMMITTED = b"COMMIT\x00"
"""What is in the server's answer if it has committed."""
COPY = b"COPY "
CHUNK = 2**14

Look = Callable[[bytes], tuple[bytes, bool]]
"""Returns what passes of some bytes, and whether the connection is lost after them."""


class Kind(StrEnum):
    """Where the connection is lost."""

    SENT = "cuts of what the client sent"
    ANSWERED = "cuts of what the server answered"
    COPYING = "cuts within COPY"
    BEFORE_COMMIT = "connections lost before COMMIT"
    AFTER_COMMIT = "answers to COMMIT that were lost"


@dataclass(frozen=True)
class Fault:
    """One loss of the connection."""

    kind: Kind
    number: int
    """At which byte of a direction; or at which COPY or COMMIT, counted from one."""
    bytes: int = 0
    """Of a COPY, how many bytes of it pass."""


class Proxy:
    """Passes bytes between clients and a server's socket, and counts what passes."""

    def __init__(self, target: Path) -> None:
        """Listen for clients of the server at ``target``."""
        self._target = str(target)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._turn = threading.Lock()
        self._open: list[socket.socket] = []
        self.arm(None)
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, fault: Fault | None) -> None:
        """Count from here on, and do this fault when its moment comes."""
        self.passed: Counter[Kind] = Counter()
        self.happened = False
        self.committed = False
        """Whether the server has committed what the client was not told of."""
        self._fault = fault
        self._left: int | None = None
        self._is_deaf = False

    @property
    def fault_kind(self) -> Kind:
        """The kind of the fault that is armed."""
        assert self._fault
        return self._fault.kind

    def close(self) -> None:
        """End every connection, and listen no more."""
        for each in (self._listener, *self._open):
            _close(each)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._target)
                self._open += [client, server]
                for pair in ((client, server, self._sent), (server, client, self._answered)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, look: Look) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK):
                with self._turn:
                    passing, is_lost = look(data)
                    sink.sendall(passing)
                if is_lost:
                    break
        _close(source)
        _close(sink)

    def _sent(self, data: bytes) -> tuple[bytes, bool]:
        """Return what passes of what a client has sent, and whether the connection is lost."""
        fault = self._fault
        self.passed[Kind.COPYING] += data.startswith(b"Q") and COPY in data[:16]
        self.passed[Kind.AFTER_COMMIT] += COMMIT in data
        is_copying = fault and fault.kind is Kind.COPYING and self._left is None
        if fault and is_copying and self.passed[Kind.COPYING] == fault.number:
            self._left = fault.bytes + len(data)  # what is copied comes after this
        if fault and self.passed[Kind.AFTER_COMMIT] == fault.number and COMMIT in data:
            if fault.kind is Kind.BEFORE_COMMIT:
                return self._cut(data[: data.index(COMMIT)])
            self._is_deaf = fault.kind is Kind.AFTER_COMMIT
        return self._counted(data, Kind.SENT)

    def _answered(self, data: bytes) -> tuple[bytes, bool]:
        """Return what passes of what the server has answered, and whether it is lost."""
        if self._is_deaf:
            self.committed = COMMITTED in data
            self._is_deaf = False
            return self._cut(b"")
        return self._counted(data, Kind.ANSWERED)

    def _counted(self, data: bytes, kind: Kind) -> tuple[bytes, bool]:
        before = self.passed[kind]
        self.passed[kind] += len(data)
        left = self._left if kind is Kind.SENT else None
        if self._fault and self._fault.kind is kind and not self.happened:
            left = self._fault.number - before
        if left is None or self.happened:
            return data, False
        if left <= len(data):
            return self._cut(data[:left])
        if self._left is not None and kind is Kind.SENT:
            self._left -= len(data)
        return data, False

    def _cut(self, data: bytes) -> tuple[bytes, bool]:
        self.happened = True
        self._fault = self._left = None
        return data, True


def _close(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()


@contextmanager
def proxy(target: Path) -> Iterator[Proxy]:
    """Run a proxy for a while."""
    running = Proxy(target)
    try:
        yield running
    finally:
        running.close()
