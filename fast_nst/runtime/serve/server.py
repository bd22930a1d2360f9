"""The process: one socket, the models, uvicorn, and an end that finishes what was begun."""

from __future__ import annotations

import contextlib
import logging
import socket
from types import FrameType

import uvicorn
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from fast_nst.errors import Interrupted, UserError, one_line
from fast_nst.lists import comma_separated
from fast_nst.runtime.serve.access import AccessLog, JsonLines
from fast_nst.runtime.serve.app import build_app
from fast_nst.runtime.serve.options import ServeOptions
from fast_nst.runtime.serve.protocol import STALL_SECONDS, Protocol
from fast_nst.runtime.serve.service import Service, load_models
from fast_nst.runtime.web import bind

_MAX_HEAD_BYTES = 16 * 1024


def serve(options: ServeOptions) -> None:
    """Answer requests until SIGTERM or SIGINT, then finish those accepted. The address goes to stdout.

    Raises UserError for a port in use, an unknown host or a bad model, before anything is served;
    Interrupted when a second signal did not let it finish.
    """
    with bind(options.host, options.port) as listener:
        service = Service(load_models(options), options)
        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonLines())
        config = uvicorn.Config(
            _wrapped(service),
            http=Protocol,
            ws="none",
            log_config=None,
            log_level="warning",
            access_log=False,  # ours has more
            server_header=False,
            h11_max_incomplete_event_size=_MAX_HEAD_BYTES,
            timeout_graceful_shutdown=int(STALL_SECONDS),
        )
        logging.getLogger("python_multipart").setLevel(logging.ERROR)  # else a warning for every broken form
        server = _Server(config, service)
        server.run(sockets=[listener])
    if service.fault is not None:
        raise UserError(f"the service failed and ended: {one_line(service.fault)}; its log has the trace")
    if server.signals > 1:
        raise Interrupted(server.signal, "stopped with requests unanswered")


class _Server(uvicorn.Server):
    """On a signal first answers what was accepted, refusing more, then does as uvicorn does."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self.service = service
        self.signals, self.signal = 0, 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say where."""
        await super().startup(sockets)
        if sockets:
            host, port = sockets[0].getsockname()[:2]
            with contextlib.suppress(BrokenPipeError):
                print(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}", flush=True)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: whether to end."""
        done = self.service.fault is not None or (self.service.draining and self.service.idle())
        return await super().on_tick(counter) or done

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal drains, the second drops what waits."""
        # Not uvicorn's way, which raises the signal again at the end and so never exits with 0.
        self.signals, self.signal = self.signals + 1, sig
        self.service.draining = True
        if self.signals > 1:
            self.should_exit = self.force_exit = True


class _Cors(CORSMiddleware):
    """Starlette's, which would refuse a preflight in plain text; without its headers it is one as well."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """The answer to OPTIONS."""
        answer = super().preflight_response(request_headers)
        return answer if answer.status_code < 400 else Response(status_code=204, headers={"Vary": "Origin"})


def _wrapped(service: Service) -> ASGIApp:
    app: ASGIApp = build_app(service)
    origins = comma_separated(service.options.cors_origin)
    if origins:
        app = _Cors(
            app,
            allow_origins=origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Content-Type", "X-Request-ID"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    return AccessLog(app, service.metrics)
