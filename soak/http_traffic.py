"""Good, bad and abandoned traffic over HTTP/1.1; each kind knows how its requests are counted."""

import io
import json
import random
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from soak.connections import Cut, HttpAnswer, HttpClient
from soak.models import NAME, ROWS, Versions
from soak.tally import EITHER, HTTP, Place, Tally

PIPELINED = 8
_JSON = b"content-type: application/json\r\n"
_SLOW_PIECES, _SLOW_SECONDS = 5, 0.05
OK: Place = (HTTP, "ok")


def post(path: str, body: bytes, headers: bytes = _JSON) -> bytes:
    """A request as it is sent."""
    return b"POST %b HTTP/1.1\r\nHost: here\r\n%bContent-Length: %d\r\n\r\n%b" % (
        path.encode(),
        headers,
        len(body),
        body,
    )


@dataclass(frozen=True)
class Form:
    """One good way to ask: the request for some rows, and the probabilities in its answer."""

    write: Callable[[Any], bytes]
    read: Callable[[HttpAnswer], Any]


def _npy(rows: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, rows)
    return stream.getvalue()


def _csv(rows: Any) -> bytes:
    return "\r\n".join(["x0,x1,x2,x3", *(",".join(map(repr, row)) for row in rows.tolist())]).encode()


def _records(rows: Any) -> bytes:
    return json.dumps(
        {"records": [dict(zip(("x0", "x1", "x2", "x3"), row, strict=True)) for row in rows.tolist()]}
    ).encode()


def _tensor(rows: Any, name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "shape": list(rows.shape), "datatype": "FP32", **more}


def _binary(rows: Any, name: str) -> bytes:
    raw = rows.tobytes()
    wanted = [{"name": "probabilities", "parameters": {"binary_data": True}}]
    head = json.dumps({"inputs": [_tensor(rows, name, parameters={"binary_data_size": len(raw)})], "outputs": wanted})
    length = b"Inference-Header-Content-Length: %d\r\n" % len(head)
    return post(f"/v2/models/{NAME}/infer", head.encode() + raw, length)


def _of_binary(answer: HttpAnswer) -> Any:
    length = int(answer.header(b"inference-header-content-length") or 0)
    return np.frombuffer(answer.body[length:], "<f4").reshape(-1, 2)


def _of_v2(answer: HttpAnswer) -> Any:
    outputs = {each["name"]: each for each in json.loads(answer.body)["outputs"]}
    return np.array(outputs["probabilities"]["data"]).reshape(outputs["probabilities"]["shape"])


def _prediction(answer: HttpAnswer) -> Any:
    return json.loads(answer.body)["prediction"]


def _v1(answer: HttpAnswer) -> Any:
    return [each["probabilities"] for each in json.loads(answer.body)["predictions"]]


def forms(versions: Versions) -> dict[str, Form]:
    """Every good way to ask."""
    name, v2 = versions.input, f"/v2/models/{NAME}/infer"
    return {
        "data": Form(lambda rows: post("/predict", json.dumps({"data": rows.tolist()}).encode()), _prediction),
        "records": Form(lambda rows: post("/predict", _records(rows)), _prediction),
        "csv": Form(lambda rows: post("/predict", _csv(rows), b"content-type: text/csv\r\n"), _prediction),
        "npy": Form(lambda rows: post("/predict", _npy(rows), b"content-type: application/x-npy\r\n"), _prediction),
        "v2": Form(
            lambda rows: post(v2, json.dumps({"inputs": [_tensor(rows, name, data=rows.ravel().tolist())]}).encode()),
            _of_v2,
        ),
        "v2 binary": Form(lambda rows: _binary(rows, name), _of_binary),
        "v1": Form(
            lambda rows: post(f"/v1/models/{NAME}:predict", json.dumps({"instances": rows.tolist()}).encode()), _v1
        ),
    }


#: Bad requests on a connection that goes on: what is sent, the status, and how it is counted.
BAD: dict[str, tuple[bytes, int, Place]] = {
    "half a body of JSON": (post("/predict", b'{"data": [['), 400, (HTTP, "malformed")),
    "wrong columns": (post("/predict", b'{"data": [[1, 2]]}'), 422, (HTTP, "invalid")),
    "a text for a number": (post("/predict", b'{"records": [{"x0": "a"}]}'), 422, (HTTP, "invalid")),
    "an unknown path": (post("/nothing", b"{}"), 404, (EITHER, "not_found")),
    "another method": (
        b"PUT /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        405,
        (HTTP, "method_not_allowed"),
    ),
    "another content type": (
        post("/predict", b"a", b"content-type: text/plain\r\n"),
        415,
        (HTTP, "unsupported_media_type"),
    ),
    "damaged gzip": (post("/predict", b"abc", _JSON + b"content-encoding: gzip\r\n"), 400, (HTTP, "malformed")),
    "a wrong tensor of V2": (post(f"/v2/models/{NAME}/infer", b'{"inputs": []}'), 400, (HTTP, "invalid")),
}
#: Those after which the server closes.
LAST: dict[str, tuple[bytes, int, Place]] = {
    "too large": (
        b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n",
        413,
        (EITHER, "too_large"),
    ),
    "no HTTP": (b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00\r\n\r\n", 400, (EITHER, "malformed")),
    "a head too large": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 100_000, 431, (EITHER, "headers_too_large")),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400, (EITHER, "malformed")),
}


class HttpTraffic:
    """One client, which does one thing after another until it is told to stop."""

    def __init__(self, port: int, versions: Versions, tally: Tally, seed: int) -> None:
        self._port, self._versions, self._tally = port, versions, tally
        self._random = random.Random(seed)
        self._forms = forms(versions)
        self._kept: HttpClient | None = None
        self._last_batch = 0
        self.kinds: list[Callable[[], None]] = [
            *[self.good] * 8,
            *[self.bad] * 3,
            *[self.pipelined] * 2,
            *(self.chunked, self.expecting, self.slow, self.refused_and_closed),
            *(self.aborted_upload, self.half_head, self.half_closed, self.reset_behind_answer, self.reset_unanswered),
            *(self.silent, self.not_reading),
        ]

    def once(self) -> None:
        """Do one thing."""
        self._random.choice(self.kinds)()

    def close(self) -> None:
        """End the kept connection."""
        if self._kept is not None:
            self._kept.socket.close()
            self._kept = None

    # On the kept connection.

    def good(self) -> None:
        """Rows in any format."""
        kind, form, at = self._ask()
        self._exchange(
            kind, form.write(self._versions.rows[at]), 1, lambda answer: self._check(kind, form, at, answer), OK
        )

    def bad(self) -> None:
        """What is refused, and the connection goes on."""
        kind = self._random.choice(list(BAD))
        data, status, place = BAD[kind]
        self._exchange(kind, data, 1, lambda answer: self._expect(kind, status, answer), place)

    def pipelined(self) -> None:
        """Several requests at once."""
        asked = [self._ask() for _ in range(PIPELINED)]
        rest = iter(asked)

        def check(answer: HttpAnswer) -> None:
            kind, form, at = next(rest)
            self._check(kind, form, at, answer)

        data = b"".join(form.write(self._versions.rows[at]) for _, form, at in asked)
        self._exchange("pipelined", data, PIPELINED, check, OK)

    def chunked(self) -> None:
        """A body in chunks, in several writes."""
        kind, form, at = "data", self._forms["data"], self._some()
        body = json.dumps({"data": self._versions.rows[at].tolist()}).encode()
        head = b"POST /predict HTTP/1.1\r\nHost: a\r\n%bTransfer-Encoding: chunked\r\n\r\n" % _JSON
        cut = self._random.randrange(1, len(body))
        pieces = [head, *(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:cut], body[cut:])), b"0\r\n\r\n"]
        self._exchange("chunked", pieces, 1, lambda answer: self._check(kind, form, at, answer), OK)

    def expecting(self) -> None:
        """A body that is held back until it is asked for."""
        kind, form, at = "data", self._forms["data"], self._some()
        head, _, body = form.write(self._versions.rows[at]).partition(b"\r\n\r\n")

        def check(answer: HttpAnswer) -> None:
            self._check(kind, form, at, answer)

        self._exchange("expecting", [head + b"\r\nExpect: 100-continue\r\n\r\n", None, body], 1, check, OK)

    def slow(self) -> None:
        """A request that comes bit by bit."""
        kind, form, at = self._ask()
        data = form.write(self._versions.rows[at])
        size = len(data) // _SLOW_PIECES + 1
        pieces: list[bytes | None] = []
        for start in range(0, len(data), size):
            pieces += [data[start : start + size], b""]
        self._exchange("slow", pieces, 1, lambda answer: self._check(kind, form, at, answer), OK)

    def _exchange(
        self,
        kind: str,
        data: "bytes | Sequence[bytes | None]",
        count: int,
        check: Callable[[HttpAnswer], None],
        place: Place,
    ) -> None:
        """Send requests and check as many answers; None waits for leave to go on, an empty piece for a moment."""
        answered = 0
        try:
            if self._kept is None:
                self._kept = HttpClient(self._port)
            client = self._kept
            for piece in [data] if isinstance(data, bytes) else data:
                if piece is None:
                    if client.answer().status != 100:
                        self._tally.complain(f"{kind}: no 100 Continue")
                elif piece:
                    client.send(piece)
                else:
                    time.sleep(_SLOW_SECONDS)
            for _ in range(count):
                answer = client.answer()
                answered += 1
                check(answer)
        except Cut:
            self._was_cut(kind, count - answered)
        if answered:
            self._tally.add(kind, exact={place: answered})

    # On connections of their own.

    def refused_and_closed(self) -> None:
        """What cannot be read as a request."""
        kind = self._random.choice(list(LAST))
        data, status, place = LAST[kind]
        try:
            with HttpClient(self._port) as client:
                client.send(data)
                answer = client.answer()
                self._expect(kind, status, answer)
                client.socket.shutdown(socket.SHUT_WR)
                client.ended()
            self._tally.add(kind, exact={place: 1})
        except (Cut, OSError):
            self._was_cut(kind, 1, kept=False)

    def aborted_upload(self) -> None:
        """A body of which a half comes, and then the end or a reset."""
        self._incomplete(post("/predict", b"x" * self._random.choice((100, 200_000)))[:-50])

    def half_head(self) -> None:
        """A half of a head, and then the end or a reset."""
        self._incomplete(b"POST /predict HTTP/1.1\r\nHost: a\r\nConte")

    def silent(self) -> None:
        """A connection without a request."""
        self._incomplete(b"")

    def _incomplete(self, data: bytes) -> None:
        try:
            with HttpClient(self._port) as client:
                client.send(data)
                if self._random.random() < 0.5:
                    client.reset()
        except Cut:
            pass
        self._tally.add("incomplete", incomplete=1)

    def half_closed(self) -> None:
        """A client that ends its sending behind its request, and reads on."""
        kind, form, at = self._ask()
        try:
            with HttpClient(self._port) as client:
                client.send(form.write(self._versions.rows[at]))
                client.socket.shutdown(socket.SHUT_WR)
                self._check(kind, form, at, client.answer())
                client.ended()
            self._tally.add("half-closed", exact={OK: 1})
        except (Cut, OSError):
            self._was_cut("half-closed", 1, kept=False)

    def reset_behind_answer(self) -> None:
        """A reset behind the answer, within the next request."""
        kind, form, at = self._ask()
        try:
            with HttpClient(self._port) as client:
                client.send(form.write(self._versions.rows[at]))
                self._check(kind, form, at, client.answer())
                self._tally.add("reset behind an answer", exact={OK: 1}, incomplete=1)
                client.send(b"POST /predict HTTP/1.1\r\n")
                client.reset()
        except Cut:
            self._was_cut("reset behind an answer", 1, kept=False)

    def reset_unanswered(self) -> None:
        """A reset just behind complete requests: each small one is counted, as answered or as given up."""
        kind, form, at = self._ask()
        large = len(at) > 1
        try:
            with HttpClient(self._port) as client:
                # By the answer the client knows that its connection was accepted.
                client.send(form.write(self._versions.rows[at]))
                self._check(kind, form, at, client.answer())
                self._tally.add("reset without an answer", exact={OK: 1})
                client.send(form.write(self._versions.rows[at]) * 2)
                # The server's acknowledgement: what was sent is in its hands, not in this system's queue.
                self._acknowledged(client.socket)
                client.reset()
                if large:
                    self._tally.add("reset within large requests", abandoned=2)
                else:
                    self._tally.add("reset without an answer", http=2)
        except Cut:
            self._was_cut("reset without an answer", 1, kept=False)

    def not_reading(self) -> None:
        """A client that asks and closes without reading."""
        kind, form, at = self._ask()
        try:
            with HttpClient(self._port) as client:
                client.send(form.write(self._versions.rows[at]))
                self._check(kind, form, at, client.answer())
                self._tally.add("closed without reading", exact={OK: 1})
                client.send(form.write(self._versions.rows[at[:1]]))
                self._tally.add("closed without reading", http=1)
        except Cut:
            self._was_cut("closed without reading", 1, kept=False)

    def _acknowledged(self, connection: socket.socket) -> None:
        import fcntl
        import struct
        import termios

        end = time.monotonic() + 5
        while time.monotonic() < end:
            if not struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, b"\0" * 4))[0]:
                return

    # What is seen.

    def _ask(self) -> tuple[str, Form, list[int]]:
        kind = self._random.choice(list(self._forms))
        return kind, self._forms[kind], self._some()

    def _some(self) -> list[int]:
        return [self._random.randrange(ROWS) for _ in range(self._random.choice((1, 1, 1, 3, 50)))]

    def _check(self, kind: str, form: Form, at: list[int], answer: HttpAnswer) -> None:
        self._expect(kind, 200, answer)
        if answer.status == 200:
            version = answer.header(b"septet-model-version")
            if not self._versions.right(version or "none", at, form.read(answer)):
                self._tally.complain(f"{kind}: not version {version}'s answer: {answer.body[:200]!r}")
            self._tally.add(kind, checked_rows=len(at))

    def _expect(self, kind: str, status: int, answer: HttpAnswer) -> None:
        if answer.status != status:
            self._tally.complain(f"{kind}: {answer.status}, not {status}: {answer.body[:300]!r}")

    def _was_cut(self, kind: str, count: int, *, kept: bool = True) -> None:
        if kept:
            self.close()
        self._tally.add(kind, cut=count, cuts=1)
