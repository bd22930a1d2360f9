"""uvicorn's HTTP/1.1 with time limits on clients that stall, and our form of error."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from fast_nst.runtime.serve.errors import error_body

STALL_SECONDS = 10.0
_MOST_DROPPED = 64 * 2**20  # bytes of a body that are read after its early answer
_MOST_STALLS = 3  # and the time for it, in stalls


class Protocol(H11Protocol):
    """Closes a connection that for `stall_seconds` does not

    - finish a request's head, from its first byte or the connection's start (the body's time is the app's),
    - end a body that was answered before it was read,
    - take any of what is written to it.

    A connection to be closed before its body was read is first read on for a while: closed at once it
    would be reset, and the client would lose the answer.
    """

    stall_seconds = STALL_SECONDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reading: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None
        self._dropped: int | None = None
        self._linger_until = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client came; it should say something."""
        super().connection_made(transport)
        self.transport: Any = _ReadOn(transport, self._linger)
        self._reading = self._abort_later()

    def connection_lost(self, exc: Exception | None) -> None:
        """It left."""
        super().connection_lost(exc)
        for timer in (self._reading, self._writing):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        """A part of a head or a body."""
        if self._dropped is not None:
            self._drop(len(data))
            return
        super().data_received(data)
        self._watch_reading(self.conn.their_state is h11.IDLE)

    def on_response_complete(self) -> None:
        """The answer is out; what is left of the request is read and dropped."""
        super().on_response_complete()
        if self._dropped is not None:
            return
        self._watch_reading(False)

    def shutdown(self) -> None:
        """The process ends."""
        if self._dropped is not None:
            self.transport.abort()
        else:
            super().shutdown()

    def _linger(self) -> bool:
        """Whether to read on before the connection is closed."""
        if self._dropped is None and self._unread and self.transport.can_write_eof():
            self._dropped = 0
            self._linger_until = self.loop.time() + _MOST_STALLS * self.stall_seconds
            self.flow.resume_reading()
            self.transport.write_eof()
            self._drop(0)
        return self._dropped is not None

    @property
    def _unread(self) -> bool:
        return self.conn.their_state in (h11.SEND_BODY, h11.ERROR)

    def _drop(self, count: int) -> None:
        assert self._dropped is not None
        self._dropped += count
        if self._reading is not None:
            self._reading.cancel()
        if self._dropped > _MOST_DROPPED:
            self.transport.abort()
            return
        at = min(self.loop.time() + self.stall_seconds, self._linger_until)
        self._reading = self.loop.call_at(at, self.transport.abort)

    def pause_writing(self) -> None:
        """The client does not take what was written."""
        super().pause_writing()
        self._writing = self._abort_later()

    def resume_writing(self) -> None:
        """It does again."""
        super().resume_writing()
        if self._writing is not None:
            self._writing.cancel()

    def send_400_response(self, msg: str) -> None:
        """What is not HTTP gets an answer in our form, if none has begun."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.close()
            return
        body = json.dumps(error_body(400, msg.rstrip("."), uuid.uuid4().hex)).encode()
        headers = [
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
            ("connection", "close"),
        ]
        head = h11.Response(status_code=400, headers=headers, reason=HTTPStatus(400).phrase)
        for event in (head, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _watch_reading(self, head_is_open: bool) -> None:
        left_over = self.conn.our_state is h11.DONE and self.conn.their_state is h11.SEND_BODY
        if not (head_is_open or left_over):
            if self._reading is not None:
                self._reading.cancel()
            self._reading = None
        elif self._reading is None:
            self._reading = self._abort_later()

    def _abort_later(self) -> asyncio.TimerHandle:
        return self.loop.call_later(self.stall_seconds, self.transport.abort)


class _ReadOn:
    """A transport whose `close` first asks whether to read on."""

    def __init__(self, transport: asyncio.Transport, lingers: Callable[[], bool]) -> None:
        self._transport, self._lingers = transport, lingers
        self._closed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        return self._closed or self._transport.is_closing()

    def close(self) -> None:
        self._closed = True
        if self._transport.is_closing() or not self._lingers():
            self._transport.close()
