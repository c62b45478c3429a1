"""HTTP for clients that are slow on purpose: each has its time to ask, and to take an answer.

uvicorn itself waits for both for ever.
"""

import asyncio
import socket
import struct
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from otc_assets.serving.limits import HEADER_SECONDS, SEND_SECONDS

AT_ONCE = struct.pack("ii", 1, 0)
"""Linger, for no second."""


class PatientProtocol(H11Protocol):
    """Cuts off a connection on which a request or an answer makes no way."""

    _sending: asyncio.TimerHandle | None = None
    _asking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait_for_request()

    def data_received(self, data: bytes) -> None:
        """Take a part of a request; the time runs from its first part."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._asking = _ended(self._asking)
        elif self._asking is None:
            self._wait_for_request()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request; also in the body of one that is being, or was, answered."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # what is still to be said has nobody who hears it
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def pause_writing(self) -> None:
        """Begin to wait for a client that does not take what was sent."""
        super().pause_writing()
        self._sending = self.loop.call_later(SEND_SECONDS, self._cut_off)

    def resume_writing(self) -> None:
        """Go on."""
        self._sending = _ended(self._sending)
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """End all waiting."""
        self._asking, self._sending = _ended(self._asking), _ended(self._sending)
        super().connection_lost(exc)

    def _wait_for_request(self) -> None:
        self._asking = self.loop.call_later(HEADER_SECONDS, self._cut_off)

    def _cut_off(self) -> None:
        """Close, and let the system throw away what it still has to send."""
        if (connection := self.transport.get_extra_info("socket")) is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        self.transport.abort()


def _ended(timer: asyncio.TimerHandle | None) -> Any:
    if timer is not None:
        timer.cancel()
