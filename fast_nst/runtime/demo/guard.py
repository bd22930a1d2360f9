"""Who may talk to the demo: the page it served itself, and no other site open in the same browser."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

_POLICY_VIOLATION = 1008
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # asked for anew, or an upgraded install meets an old script
}


class Guard:
    """ASGI middleware: refuses foreign Host and Origin headers, adds the security headers.

    A name that resolves to this machine by DNS rebinding shows in Host; another site's request, a
    WebSocket above all (browsers let those cross origins), shows in Origin. Programs send no Origin.
    `own` are the names of this machine; `allowed` those under which a proxy shows the page to browsers.
    """

    def __init__(self, app: ASGIApp, own: frozenset[str], allowed: frozenset[str]) -> None:
        self.app = app
        self.own, self.allowed = own, allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        reason = refusal(Headers(scope=scope), self.own, self.allowed)
        if reason and scope["type"] == "websocket":
            await WebSocketClose(_POLICY_VIOLATION, reason)(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        app = JSONResponse({"error": reason}, 403) if reason else self.app
        await app(scope, receive, send_guarded)


def refusal(headers: Headers, own: frozenset[str], allowed: frozenset[str]) -> str | None:
    """Why a request is not served, or None."""
    host = headers.get("host", "")
    if not _is_here(_hostname(host), own | allowed):
        return (
            f"the demo is not called {host!r}; open the address it printed, or start it with --allow-host"
            " and the name it has for you"
        )
    origin = headers.get("origin")
    if origin is None:
        return None
    # The scheme is left out: behind a proxy that speaks https this side still sees http.
    site = origin.partition("://")[2].lower()
    # A proxy may keep the Host that the browser sent or put this machine's address there.
    if site != host.lower() and _hostname(site) not in allowed:
        return f"requests from the site {origin!r} are refused; --allow-host lets in those of a proxy"
    return None


def names_of(host: str) -> frozenset[str]:
    """The names that may stand in Host when listening on `host`, beside localhost and plain addresses."""
    names = {host.lower()}
    if not is_loopback(host):
        own = socket.gethostname().lower()
        names |= {own, f"{own}.local", socket.getfqdn().lower()}
    return frozenset(names)


def is_loopback(host: str) -> bool:
    """Whether an address or name can only be reached from this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _is_here(hostname: str | None, names: frozenset[str]) -> bool:
    if not hostname:
        return False
    try:
        ipaddress.ip_address(hostname)
    except ValueError:
        return hostname == "localhost" or hostname in names
    return True  # rebinding needs a name


def _hostname(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
