"""uvicorn's HTTP/1.1 with time limits on clients that stall, and our form of error."""

from __future__ import annotations

import asyncio
import json
import uuid
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from fast_nst.runtime.serve.errors import error_body

STALL_SECONDS = 10.0


class Protocol(H11Protocol):
    """Closes a connection that for `stall_seconds` does not

    - finish a request's head, from its first byte or the connection's start (the body's time is the app's),
    - end a body that was answered before it was read,
    - take any of what is written to it.
    """

    stall_seconds = STALL_SECONDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reading: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client came; it should say something."""
        super().connection_made(transport)
        self._reading = self._abort_later()

    def connection_lost(self, exc: Exception | None) -> None:
        """It left."""
        super().connection_lost(exc)
        for timer in (self._reading, self._writing):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        """A part of a head or a body."""
        super().data_received(data)
        self._watch_reading(self.conn.their_state is h11.IDLE)

    def on_response_complete(self) -> None:
        """The answer is out; what is left of the request is read and dropped."""
        super().on_response_complete()
        self._watch_reading(False)

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
