"""Starts the demo: models, socket, browser tab, uvicorn."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
import threading
import webbrowser
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn
import websockets  # noqa: F401  (uvicorn starts without it, and then refuses the live connection)
from fastapi import FastAPI

from fast_nst.lists import comma_separated
from fast_nst.runtime.demo.app import create_app
from fast_nst.runtime.demo.clips import Clips
from fast_nst.runtime.demo.gallery import Gallery, open_gallery
from fast_nst.runtime.demo.guard import is_loopback
from fast_nst.runtime.demo.live import MAX_FRAME_BYTES
from fast_nst.runtime.demo.options import DemoOptions
from fast_nst.runtime.stylizer import Stylizer
from fast_nst.runtime.web import bind

_GRACE = 60  # seconds for what is being painted when asked to end

logger = logging.getLogger("fast_nst")


def run_demo(options: DemoOptions) -> None:
    """Serve the page until SIGINT or SIGTERM; its address is the one line on stdout.

    What is being painted is finished first, for a minute at most; clips are not, nor uploads that
    stall. A second SIGINT waits for nothing but the network's current run.

    Raises UserError for models that do not work and an address that cannot be listened on.
    """
    providers = comma_separated(options.providers) if options.providers is not None else None

    def load(path: Path) -> Stylizer:
        return Stylizer(path, threads=options.threads, providers=providers)

    listener = bind(options.host, options.port)
    listener.listen()  # a browser that comes before the previews are painted waits
    gallery = open_gallery(options.models, load)
    # uvicorn sends itself the signal again when it has shut down, to whoever handled it before.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with TemporaryDirectory(prefix="fast-nst-demo-") as folder, suppress(KeyboardInterrupt):
            _serve(listener, gallery, Path(folder), options)
    finally:
        signal.signal(signal.SIGTERM, before)


def _serve(listener: socket.socket, gallery: Gallery, folder: Path, options: DemoOptions) -> None:
    clips = Clips(folder, gallery)
    config = uvicorn.Config(
        app := create_app(gallery, clips, options),
        log_level="warning",
        lifespan="off",  # there is none, and a second Ctrl-C would show its trace
        timeout_graceful_shutdown=_GRACE,
        ws_max_size=MAX_FRAME_BYTES,
        ws_per_message_deflate=False,  # JPEG does not get smaller
    )
    address = _address(options.host, listener.getsockname()[1])
    print(address, flush=True)
    if not is_loopback(options.host):
        logger.warning("everyone who reaches this machine can use the page; browsers give it a camera")
        logger.warning("only over https or on localhost")
    if options.open and sys.stdout.isatty():
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    uvicorn_log = logging.getLogger("uvicorn.error")
    uvicorn_log.addFilter(_is_no_cancelled_request)
    try:
        _Server(config, app).run(sockets=[listener])
    finally:
        uvicorn_log.removeFilter(_is_no_cancelled_request)
        clips.close()


class _Server(uvicorn.Server):
    """Says what it waits for when it is asked to end."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self.app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish what is being painted; a second SIGINT does not."""
        self.app.state.ending = True
        if self.server_state.tasks:
            logger.warning("finishing what is being uploaded and painted; Ctrl-C again to end without")
        await super().shutdown(sockets)


def _is_no_cancelled_request(record: logging.LogRecord) -> bool:
    """uvicorn logs the trace of every request that it cancels at its end."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def _address(host: str, port: int) -> str:
    """Where a browser on this machine finds it."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"
