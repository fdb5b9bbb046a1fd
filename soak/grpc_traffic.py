"""Good, bad and abandoned calls over gRPC; each kind knows how its calls are counted."""

import contextlib
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from septet.protocols.rpc.descriptors import message
from septet.protocols.rpc.paths import HEALTH, INFER, INFERENCE
from soak.connections import Cut, GrpcClient, reset
from soak.models import NAME, ROWS, Versions
from soak.tally import EITHER, GRPC, Place, Tally

AT_ONCE = 8
_OK, _INVALID, _NOT_FOUND, _UNIMPLEMENTED, _DEADLINE = 0, 3, 5, 12, 4
_CANCEL = 8


def framed(body: bytes) -> bytes:
    """A message as it is sent."""
    return b"\0" + len(body).to_bytes(4) + body


class GrpcTraffic:
    """One client, which does one thing after another until it is told to stop."""

    def __init__(self, port: int, versions: Versions, tally: Tally, seed: int) -> None:
        self._port, self._versions, self._tally = port, versions, tally
        self._random = random.Random(seed)
        self._request, self._response = message("inference.ModelInferRequest"), message("inference.ModelInferResponse")
        self._kept: GrpcClient | None = None
        self.kinds: list[Callable[[], None]] = [
            *[self.good] * 5,
            *[self.at_once] * 2,
            *(self.bad, self.bad, self.small, self.cancelled, self.only_head, self.half_message, self.deadline),
            *(self.reset_unanswered, self.no_calls),
        ]
        self._bad = self._bad_calls()

    def once(self) -> None:
        """Do one thing."""
        self._random.choice(self.kinds)()

    def close(self) -> None:
        """End the kept connection."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def good(self) -> None:
        """One call."""
        self._calls(1)

    def at_once(self) -> None:
        """Several calls of one connection at once."""
        self._calls(AT_ONCE)

    def _calls(self, count: int) -> None:
        asked = [self._some() for _ in range(count)]
        answered = 0
        try:
            client = self._client()
            numbers = [client.begin(INFER, framed(self._call(at))) for at in asked]
            client.flush()
            for number, at in zip(numbers, asked, strict=True):
                answer = client.wait(number)
                answered += 1
                if answer.status != _OK:
                    self._tally.complain(f"gRPC: status {answer.status} {answer.headers}")
                    continue
                got = self._response.FromString(answer.message)
                place = [each.name for each in got.outputs].index("probabilities")
                raw, typed = got.raw_output_contents, got.outputs[place].contents.fp32_contents
                values = (np.frombuffer(raw[place], "<f4") if raw else np.array(typed)).reshape(-1, 2)
                if not self._versions.right(got.model_version, at, values):
                    self._tally.complain(f"gRPC: not version {got.model_version}'s answer: {values}")
                self._tally.add("call", checked_rows=len(at))
        except Cut:
            self._was_cut("call", count - answered)
        self._tally.add("call", exact={(GRPC, "ok"): answered})

    def bad(self) -> None:
        """What is refused."""
        kind = self._random.choice(list(self._bad))
        path, body, status, place = self._bad[kind]
        self._one(kind, path, body, status, place)

    def small(self) -> None:
        """Calls that predict nothing."""
        path = self._random.choice((f"/{INFERENCE}/ServerLive", f"/{HEALTH}/Check", f"/{INFERENCE}/ModelMetadata"))
        self._one("small call", path, b"", _OK, (GRPC, "ok"))

    def deadline(self) -> None:
        """A call that has no time."""
        self._float(
            "deadline",
            lambda client, at: [client.begin(INFER, framed(self._call(at)), headers=[("grpc-timeout", "1n")])],
        )

    def cancelled(self) -> None:
        """Calls that are complete and then given up."""

        def begin(client: GrpcClient, at: list[int]) -> list[int]:
            numbers = [client.begin(INFER, framed(self._call(at))) for _ in range(3)]
            for number in numbers:
                client.h2.reset_stream(number, _CANCEL)
            return []

        self._float("cancelled", begin, 3)

    def only_head(self) -> None:
        """A call of which only the head comes."""

        def begin(client: GrpcClient, _: list[int]) -> list[int]:
            client.h2.reset_stream(client.begin(INFER, None), _CANCEL)
            return []

        self._float("only a head", begin)

    def half_message(self) -> None:
        """A call of which half a message comes."""

        def begin(client: GrpcClient, at: list[int]) -> list[int]:
            client.h2.reset_stream(client.begin(INFER, framed(self._call(at))[:-3], end=False), _CANCEL)
            return []

        self._float("half a message", begin)

    def _float(self, kind: str, begin: Callable[[GrpcClient, list[int]], list[int]], count: int = 1) -> None:
        """Calls that are counted once each, however the server saw them end; a call behind them shows that it did."""
        try:
            client = self._client()
            numbers = begin(client, self._some())
            behind = client.begin(f"/{INFERENCE}/ServerLive", framed(b""))
            client.flush()
            for number in numbers:
                client.wait(number)
            client.wait(behind)
            self._tally.add(kind, exact={(GRPC, "ok"): 1}, grpc=count)
        except Cut:
            self._was_cut(kind, count + 1)

    def reset_unanswered(self) -> None:
        """A connection that is reset behind complete calls."""
        try:
            with GrpcClient(self._port) as client:
                client.wait(self._flushed(client, client.begin(f"/{INFERENCE}/ServerLive", framed(b""))))
                self._tally.add("reset connection", exact={(GRPC, "ok"): 1})
                for _ in range(2):
                    client.begin(INFER, framed(self._call(self._some()[:1])))
                client.flush()
                self._tally.add("reset connection", grpc=2)
                reset(client.socket)
        except Cut:
            self._was_cut("reset connection", 1, kept=False)

    def no_calls(self) -> None:
        """A connection that is made and left."""
        with contextlib.suppress(Cut):
            GrpcClient(self._port).close()
        self._tally.add("connection without calls", incomplete=1)

    def _one(self, kind: str, path: str, body: bytes, status: int, place: Place) -> None:
        try:
            client = self._client()
            answer = client.wait(self._flushed(client, client.begin(path, framed(body))))
            self._tally.add(kind, exact={place: 1})
            if answer.status != status:
                self._tally.complain(f"{kind}: status {answer.status}, not {status}: {answer.headers}")
        except Cut:
            self._was_cut(kind, 1)

    def _flushed(self, client: GrpcClient, number: int) -> int:
        client.flush()
        return number

    def _client(self) -> GrpcClient:
        if self._kept is None:
            self._kept = GrpcClient(self._port)
        return self._kept

    def _some(self) -> list[int]:
        return [self._random.randrange(ROWS) for _ in range(self._random.choice((1, 1, 1, 3, 50)))]

    def _call(self, at: list[int], **more: Any) -> bytes:
        rows = self._versions.rows[at]
        call = self._request(model_name=more.get("model", NAME))
        given = call.inputs.add(name=self._versions.input, datatype="FP32", shape=more.get("shape", rows.shape))
        if self._random.random() < 0.5:
            call.raw_input_contents.append(rows.tobytes())
        else:
            given.contents.fp32_contents.extend(rows.ravel().tolist())
        body: bytes = call.SerializeToString()
        return body

    def _bad_calls(self) -> dict[str, tuple[str, bytes, int, Place]]:
        return {
            "an unknown model": (INFER, self._call([0], model="none"), _NOT_FOUND, (GRPC, "not_found")),
            "a wrong shape": (INFER, self._call([0], shape=[1, 3]), _INVALID, (GRPC, "invalid")),
            "no message": (INFER, b"\xff\xff", _INVALID, (GRPC, "malformed")),
            "an unknown method": ("/a.B/C", b"", _UNIMPLEMENTED, (EITHER, "unimplemented")),
        }

    def _was_cut(self, kind: str, count: int, *, kept: bool = True) -> None:
        if kept:
            self.close()
        self._tally.add(kind, cut=count, cuts=1)
