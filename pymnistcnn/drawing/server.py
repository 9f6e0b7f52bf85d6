"""The page's server, for this machine alone.

It is the standard library's: three routes, one address and a page without files need as little code as they would with
a web framework, and no extra. The page keeps what was drawn, the server nothing: tabs do not know of each other.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .._types import StrPath
from .looking import Looker
from .page import page_of
from .saving import folder_names, save

ADDRESS = "127.0.0.1"
NAMES = (ADDRESS, "localhost")
MOST_BYTES = 32 * 2**20  # of a picture's file
SECONDS = 30.0  # that a connection may be silent
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Refused(Exception):
    """A request that is answered with a status and a sentence."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class Server(ThreadingHTTPServer):
    """Bound when made; OSError if the port is taken. port: 0 is any free one."""

    block_on_close = False  # a silent connection does not keep Ctrl-C waiting
    looker: Looker
    classes: list[str]
    folder: Path
    page: bytes

    def __init__(self, looker: Looker, classes: list[str], name: str, folder: StrPath, port: int = 0) -> None:
        self.looker, self.classes, self.folder = looker, classes, Path(folder)
        about = {"name": name, "classes": classes, "examples": looker.has_examples, "folder": str(folder)}
        self.page = page_of(about | {"mostBytes": MOST_BYTES}).encode()
        super().__init__((ADDRESS, port), Handler)

    @property
    def url(self) -> str:
        return f"http://{ADDRESS}:{self.server_port}/"

    @property
    def hosts(self) -> set[str]:
        """What a browser that was told to come here says it asks."""
        return {f"{name}:{self.server_port}" for name in NAMES} | ({*NAMES} if self.server_port == 80 else set())

    def look(self, picture: bytes, query: dict[str, list[str]]) -> dict[str, Any]:
        return self.looker.look(picture)

    def save(self, picture: bytes, query: dict[str, list[str]]) -> dict[str, Any]:
        label = query.get("label", [""])[0]
        if not (label.isascii() and label.isdigit() and int(label[:9]) < len(self.classes)):
            raise Refused(HTTPStatus.BAD_REQUEST, f"label must be a number from 0 to {len(self.classes) - 1}")
        seen, _ = self.looker.see(picture)
        try:
            return {"file": str(save(self.folder, seen, folder_names(self.classes)[int(label)]))}
        except OSError as error:
            raise Refused(HTTPStatus.INSUFFICIENT_STORAGE, f"{error.filename}: {error.strerror}") from None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections break; anything else is told in one line."""
        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError)):
            print(f"pymnistcnn: error: {type(error).__name__}: {error}", file=sys.stderr)


POSTS: dict[str, Callable[[Server, bytes, dict[str, list[str]]], dict[str, Any]]] = {
    "/look": Server.look,
    "/save": Server.save,
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version: str = "pymnistcnn"
    sys_version: str = ""
    timeout: float | None = SECONDS
    server: Server

    def do_GET(self) -> None:
        try:
            self.check_host()
            if urlsplit(self.path).path != "/":
                raise Refused(HTTPStatus.NOT_FOUND, "there is nothing here")
            self.answer(HTTPStatus.OK, "text/html; charset=utf-8", self.server.page)
        except Refused as error:
            self.refuse(error)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        try:
            self.check_host()
            url = urlsplit(self.path)
            if url.path not in POSTS:
                raise Refused(HTTPStatus.NOT_FOUND, "there is nothing here")
            picture = self.body()
            self.answer_json(HTTPStatus.OK, POSTS[url.path](self.server, picture, parse_qs(url.query)))
        except Refused as error:
            self.refuse(error)
        except ValueError as error:
            self.answer_json(HTTPStatus.UNPROCESSABLE_ENTITY, {"error": str(error).removeprefix("the picture: ")})

    def check_host(self) -> None:
        """Refuse what a page of another site sent: under a name of its own that leads here, or across sites."""
        origin = self.headers.get("Origin")
        if self.headers.get("Host") not in self.server.hosts:
            raise Refused(HTTPStatus.FORBIDDEN, f"this page is at {self.server.url}")
        if origin is not None and origin not in {f"http://{host}" for host in self.server.hosts}:
            raise Refused(HTTPStatus.FORBIDDEN, "pages of other sites may not ask here")

    def body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()) or "Transfer-Encoding" in self.headers:
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "the picture's size must be told, in Content-Length")
        if len(length) > 12 or int(length) > MOST_BYTES:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a picture may have {MOST_BYTES // 2**20} MB")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ConnectionAbortedError
        return body

    def refuse(self, error: Refused) -> None:
        self.close_connection = True  # a body that was not read would be taken for the next request
        self.answer_json(error.status, {"error": str(error)})

    def answer_json(self, status: HTTPStatus, content: dict[str, Any]) -> None:
        self.answer(status, "application/json", json.dumps(content, allow_nan=False).encode())

    def answer(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **HEADERS}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: requests are the page's own."""
