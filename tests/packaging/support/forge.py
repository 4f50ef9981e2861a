"""A git server that asks for a name: what a forge does, on loopback."""

from __future__ import annotations

import base64
import http.server
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from support.repository import environment


def basic(user: str, password: str) -> str:
    """The value of the header `Authorization`."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@contextmanager
def serve(folder: Path, accepted: set[str]) -> Iterator[str]:
    """Serves the repositories of a folder by HTTP to those who send one of these headers; yields the folder's URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            if self.headers.get("Authorization") not in accepted:
                self.send_response(401)
                self.send_header("WWW-Authenticate", "Basic")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            cgi = environment(
                GIT_PROJECT_ROOT=str(folder),
                GIT_HTTP_EXPORT_ALL="1",
                PATH_INFO=url.path,
                QUERY_STRING=url.query,
                REQUEST_METHOD=self.command,
                CONTENT_TYPE=self.headers.get("Content-Type") or "",
                HTTP_CONTENT_ENCODING=self.headers.get("Content-Encoding") or "",
                HTTP_GIT_PROTOCOL=self.headers.get("Git-Protocol") or "",
                HOME=os.fspath(folder),
            )
            ran = subprocess.run(["git", "http-backend"], input=body, capture_output=True, check=True, env=cgi)
            head, content = ran.stdout.split(b"\r\n\r\n", 1)
            fields = [line.split(": ", 1) for line in head.decode().split("\r\n")]
            status = next((value for name, value in fields if name == "Status"), "200")
            self.send_response(int(status.split()[0]))
            for name, value in fields:
                if name != "Status":
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
