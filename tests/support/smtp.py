"""A mail server that takes one message after the other and keeps them. No TLS, no login: loopback."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Mail:
    sender: str = ""
    recipient: str = ""
    text: str = ""


@dataclass
class MailServer:
    port: int = 0
    mails: list[Mail] = field(default_factory=list)


class _Session(socketserver.StreamRequestHandler):
    timeout = 10

    def handle(self) -> None:
        mail = Mail()
        self._say("220 here")
        while line := self.rfile.readline(2000).decode(errors="replace").strip():
            verb = line.split(":", 1)[0].upper()
            if verb == "MAIL FROM":
                mail.sender = line.split("<")[1].split(">")[0]
            elif verb == "RCPT TO":
                mail.recipient = line.split("<")[1].split(">")[0]
            elif verb == "DATA":
                self._say("354 go on")
                mail.text = self._body()
                self.server.kept.mails.append(mail)  # type: ignore[attr-defined]
                mail = Mail()
            self._say("221 bye" if verb == "QUIT" else "250 ok")
            if verb == "QUIT":
                return

    def _body(self) -> str:
        lines = []
        while (line := self.rfile.readline(2000)) not in {b".\r\n", b""}:
            lines.append(line.decode(errors="replace"))
        return "".join(lines)

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@contextmanager
def mail_server() -> Iterator[MailServer]:
    kept = MailServer()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Session) as server:
        server.daemon_threads = True
        server.kept = kept  # type: ignore[attr-defined]
        kept.port = int(server.server_address[1])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield kept
        server.shutdown()
