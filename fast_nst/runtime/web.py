"""Taking an address to listen on, and reading bodies of clients that may stall."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncGenerator, Callable
from typing import Any

from fast_nst.errors import UserError

_SLICE = 0.25  # seconds between two looks at how long a client may stall


class Stalled(Exception):
    """Nothing more of a body came in time."""


class Left(Exception):
    """The client went away in the middle of its body."""


def bind(host: str, port: int) -> socket.socket:
    """A socket with the address taken, not listening yet.

    Raises UserError for a port in use and an unknown host.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix" and sys.platform != "cygwin":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise UserError(
            f"cannot listen on {host}:{port}: {error.strerror}; choose --host or --port"
        ) from None
    return listener


async def body_chunks(
    receive: Callable[[], Any], patience: Callable[[], float]
) -> AsyncGenerator[bytes, None]:
    """A request's body as it arrives, from ASGI's `receive`.

    `patience` says how many seconds may pass without a byte; it is asked again while waiting, so that a
    process about to end can lower it. Raises Stalled and Left.
    """
    waited, more = 0.0, True
    while more:
        try:
            async with asyncio.timeout(_SLICE):
                message = await receive()
        except TimeoutError:
            waited += _SLICE
            if waited >= patience():
                raise Stalled from None
            continue
        if message["type"] == "http.disconnect":
            raise Left
        waited, more = 0.0, message.get("more_body", False)
        if message.get("body"):
            yield message["body"]
