"""Run the web process: take the lock, open the port, say the address, get the models ready, serve."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable

from assistant.client import serving_lock
from assistant.service import AssistantService
from governance.errors import BadInput, Busy, NotFound, ProvenantError
from governance.locks import hold
from governance.settings import Settings
from governance.store import open_store
from ui.web import LOOPBACK, make_application

_STOP_WAIT_SECONDS = 5


def run_server(settings: Settings, *, tell: Callable[[str], None]) -> None:
    """Serve until interrupted.

    Raises Busy for a port or home that is taken, BadInput for an open door without a token.
    """
    import uvicorn

    host = settings.server.host
    if host not in LOOPBACK and not settings.server.token.get_secret_value():
        raise BadInput(
            f"Listening on {host} would open the documents to the network; set PROVENANT_SERVER__TOKEN, "
            "or listen on 127.0.0.1."
        )
    key = secrets.token_urlsafe(24)
    with _bound_socket(host, settings.server.port) as listener:
        port = listener.getsockname()[1]
        url = f"http://{'127.0.0.1' if host in {'0.0.0.0', '::'} else host}:{port}"  # noqa: S104
        facts = {"url": url, "key": key}
        with hold(serving_lock(settings), doing=f"A server at {url}", wait_seconds=2.0, facts=facts):
            service = AssistantService(settings, open_store(settings))
            application = make_application(service, settings, key=key)
            threading.Thread(target=_warm_up, args=(service, tell), daemon=True).start()
            shown = "localhost" if host in LOOPBACK else host
            tell(f"Provenant is served at http://{shown}:{port} (Ctrl-C ends it)")
            config = uvicorn.Config(
                application, log_level="warning", timeout_graceful_shutdown=_STOP_WAIT_SECONDS, proxy_headers=False
            )
            try:
                uvicorn.Server(config).run(sockets=[listener])
            finally:
                service.close()


def _bound_socket(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise Busy(
            f"Port {port} on {host} cannot be taken ({error.strerror}). End what uses it, or choose another: "
            "provenant serve --port N (0 takes a free one)."
        ) from error
    listener.listen(128)
    return listener


def _warm_up(service: AssistantService, tell: Callable[[str], None]) -> None:
    """Load the models and open the live index before the first question needs them."""
    try:
        service.warm_up()
    except NotFound as error:
        tell(str(error))
    except ProvenantError as error:
        tell(f"Not ready: {error}")
