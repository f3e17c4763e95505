"""What a terminal does between keys and a program: echo, lines, erasing, Control-C and Control-D."""

from __future__ import annotations

from collections.abc import Callable

from pytest_selfrep.kubesim.containers.tasks import Pipe


class Terminal:
    """Turns keys into lines of input."""

    def __init__(self, stdin: Pipe, echo: Callable[[bytes], None], interrupt: Callable[[], None]) -> None:
        self._stdin = stdin
        self._echo = echo
        self._interrupt = interrupt
        self._line = bytearray()

    def type(self, data: bytes) -> None:
        for byte in data:
            key = bytes((byte,))
            if key in (b"\r", b"\n"):
                self._echo(b"\r\n")
                self._stdin.write(bytes(self._line) + b"\n")
                self._line.clear()
            elif key in (b"\x7f", b"\b"):
                if self._line:
                    del self._line[-1]
                    self._echo(b"\b \b")
            elif key == b"\x03":
                self._line.clear()
                self._echo(b"^C\r\n")
                self._interrupt()
            elif key == b"\x04":
                if self._line:
                    self._stdin.write(bytes(self._line))
                    self._line.clear()
                else:
                    self._stdin.end()
            elif byte >= 32 or key == b"\t":
                self._line += key
                self._echo(key)
