"""The process: one socket, the models, uvicorn, and an end that finishes what was begun."""

from __future__ import annotations

import contextlib
import logging
import math
import signal

import uvicorn
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from fast_nst.errors import Interrupted
from fast_nst.lists import comma_separated
from fast_nst.runtime.serve.access import AccessLog, JsonLines
from fast_nst.runtime.serve.app import build_app
from fast_nst.runtime.serve.options import ServeOptions
from fast_nst.runtime.serve.service import Service, load_models
from fast_nst.runtime.web import bind

_MAX_HEAD_BYTES = 16 * 1024


def serve(options: ServeOptions) -> None:
    """Answer requests until SIGTERM or SIGINT, then finish those begun. The address goes to stdout.

    Raises UserError for a port in use, an unknown host or a bad model, before anything is served;
    Interrupted when a later SIGINT did not let it finish.
    """
    with bind(options.host, options.port) as listener:
        service = Service(load_models(options), options)
        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonLines())
        logging.getLogger("python_multipart").setLevel(logging.ERROR)  # else a warning for every broken form
        config = uvicorn.Config(
            _wrapped(service),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,  # ours has more
            server_header=False,
            h11_max_incomplete_event_size=_MAX_HEAD_BYTES,
            timeout_graceful_shutdown=math.ceil(options.upload_timeout + options.timeout),
        )
        server = uvicorn.Server(config)
        listener.listen()
        host, port = listener.getsockname()[:2]
        with contextlib.suppress(BrokenPipeError):
            print(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}", flush=True)
        # uvicorn sends itself the signal again when it has shut down, to whoever handled it before.
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with contextlib.suppress(KeyboardInterrupt):
                server.run(sockets=[listener])
        finally:
            signal.signal(signal.SIGTERM, before)
            service.close()
    if server.force_exit:
        raise Interrupted(signal.SIGINT, "stopped with requests unanswered")


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
