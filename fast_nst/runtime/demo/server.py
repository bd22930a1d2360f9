"""Starts the demo: models, socket, browser tab, uvicorn."""

from __future__ import annotations

import logging
import os
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

from fast_nst.errors import UserError
from fast_nst.lists import comma_separated
from fast_nst.runtime.demo.app import create_app
from fast_nst.runtime.demo.clips import Clips
from fast_nst.runtime.demo.gallery import Gallery, open_gallery
from fast_nst.runtime.demo.guard import is_loopback
from fast_nst.runtime.demo.live import MAX_FRAME_BYTES
from fast_nst.runtime.demo.options import DemoOptions
from fast_nst.runtime.stylizer import Stylizer

log = logging.getLogger(__name__)


def run_demo(options: DemoOptions) -> None:
    """Serve the page until SIGINT or SIGTERM; its address is the one line on stdout.

    What is being painted is finished first; clips are not.

    Raises UserError for models that do not work and an address that cannot be listened on.
    """
    providers = comma_separated(options.providers) if options.providers is not None else None

    def load(path: Path) -> Stylizer:
        return Stylizer(path, threads=options.threads, providers=providers)

    listener = _listen(options.host, options.port)
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
        create_app(gallery, clips, options),
        log_level="warning",
        ws_max_size=MAX_FRAME_BYTES,
        ws_per_message_deflate=False,  # JPEG does not get smaller
    )
    address = _address(options.host, listener.getsockname()[1])
    print(address, flush=True)
    if not is_loopback(options.host):
        log.warning("everyone who reaches this machine can use the page; browsers give it a camera")
        log.warning("only over https or on localhost")
    if options.open and sys.stdout.isatty():
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        clips.close()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        # create_server says the address once more in strerror.
        reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise UserError(f"cannot listen on {host}:{port}: {reason}; choose --host or --port") from None


def _address(host: str, port: int) -> str:
    """Where a browser on this machine finds it."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"
