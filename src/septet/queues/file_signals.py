"""How the processes of one machine that use the same file tell each other that something in it has changed.

Each has a datagram socket in a folder beside the file, which only its owner may enter. A signal is an empty message to
each of the others: one that waits already is enough, so what does not fit is dropped.
"""

import contextlib
import os
import socket
from pathlib import Path
from secrets import token_hex
from typing import Final

from septet.errors import StartupError

# What the system's address structure holds (unix(7)), less its ending zero.
_MOST_PATH_BYTES: Final = 100
_TRIES: Final = 10
_NOTE: Final = b"\n"


class FileSignals:
    """Tells of changes of a file, and hears of them. A `JobSignals`; `notify` may be called by any thread.

    Raises:
        StartupError: there can be no socket beside the file.
    """

    def __init__(self, file: Path) -> None:
        file = file.absolute()
        self._folder = file.with_name(f"{file.name}-signals")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)  # noqa: FBT003 - the standard library's signature
        self._name = f"{os.getpid()}-{token_hex(8)}"
        self._descriptor = -1
        try:
            self._listen()
        except OSError as error:
            self.close()
            text = f"{self._folder}: there can be no sockets here by which processes tell each other of jobs"
            raise StartupError(f"{text} ({error})") from error

    def _listen(self) -> None:
        for attempt in range(_TRIES):
            with contextlib.suppress(FileExistsError):
                self._folder.mkdir(mode=0o700)
            try:
                self._descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                self._socket.bind(self._address(self._name))
            except FileNotFoundError:
                # The last of the others that used it removed the folder just now.
                if attempt == _TRIES - 1:
                    raise
                if self._descriptor >= 0:
                    os.close(self._descriptor)
                    self._descriptor = -1
            else:
                return

    def _address(self, name: str) -> str:
        """Where a socket of the folder is; by the open folder, where its path is too long for the system."""
        path = str(self._folder / name)
        if len(os.fsencode(path)) <= _MOST_PATH_BYTES:
            return path
        return f"/proc/self/fd/{self._descriptor}/{name}"

    def fileno(self) -> int:
        """A descriptor that can be read once another process has told of a change."""
        return self._socket.fileno()

    def drain(self) -> None:
        """Take note of all that was told; does not block."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self._socket.recv(len(_NOTE))

    def notify(self) -> None:
        """Tell the others of a change; does not block."""
        try:
            names = os.listdir(self._descriptor)  # noqa: PTH208 - the folder that is open, whatever became of its path
        except OSError:
            return
        for name in names:
            if name != self._name:
                self._tell(self._address(name))

    def _tell(self, address: str) -> None:
        try:
            self._socket.sendto(_NOTE, address)
        except ConnectionRefusedError:
            # Its process has ended without closing it; no other one ever has this name.
            with contextlib.suppress(OSError):
                Path(address).unlink()
        except OSError:
            pass  # it has enough to read already, or has just been closed

    def close(self) -> None:
        """Hear and tell no more."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.unlink(self._name, dir_fd=self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
            with contextlib.suppress(OSError):
                self._folder.rmdir()  # where no other process uses it
        self._socket.close()
