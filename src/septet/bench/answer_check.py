"""Whether an answer is right: as many rows as were asked for and, where they are known, the right values."""

import json
import math
from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from septet.bench.load import AnswerForm, Payload

#: What is wrong with the body of an answer to a payload, or None.
Check: TypeAlias = Callable[[Payload, bytes], str | None]


class _AnsweredPrediction(msgspec.Struct):
    prediction: list[msgspec.Raw]


class _AnsweredValues(msgspec.Struct):
    prediction: list[Any]


class _AnsweredOutput(msgspec.Struct):
    shape: list[int]


class _AnsweredOutputs(msgspec.Struct):
    outputs: list[_AnsweredOutput]


_BINARY = json.JSONDecoder()


def check_for(form: AnswerForm) -> Check:
    """Return the check for a form of answers."""
    return {"any": _any, "prediction": _prediction, "outputs": _outputs, "binary-outputs": _binary_outputs}[form]


def differs(expected: Any, got: Any, payload: Payload) -> bool:
    """Say whether two JSON values differ; numbers may by the tolerances, as in `numpy.isclose`."""
    if isinstance(expected, list):
        if not isinstance(got, list) or len(got) != len(expected):
            return True
        return any(differs(want, have, payload) for want, have in zip(expected, got, strict=True))
    if isinstance(expected, dict):
        if not isinstance(got, dict) or got.keys() != expected.keys():
            return True
        return any(differs(want, got[name], payload) for name, want in expected.items())
    if isinstance(expected, float) and isinstance(got, int | float):
        limit = payload.absolute_tolerance + payload.relative_tolerance * abs(expected)
        return not (math.isclose(got, expected, rel_tol=0, abs_tol=limit))
    return bool(expected != got)


def _any(_: Payload, __: bytes) -> str | None:
    return None


def _prediction(payload: Payload, body: bytes) -> str | None:
    try:
        if payload.expected is None:
            return _rows(payload, len(msgspec.json.decode(body, type=_AnsweredPrediction).prediction))
        got = msgspec.json.decode(body, type=_AnsweredValues).prediction
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        return f"not a prediction: {exc}: {_shown(body)}"
    if differs(payload.expected, got, payload):
        return f"expected {payload.expected!s:.120}, got {got!s:.120}"
    return None


def _outputs(payload: Payload, body: bytes) -> str | None:
    try:
        outputs = msgspec.json.decode(body, type=_AnsweredOutputs).outputs
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        return f"not a response of the protocol: {exc}: {_shown(body)}"
    return _shapes(payload, outputs)


def _binary_outputs(payload: Payload, body: bytes) -> str | None:
    try:
        # Raw bytes follow the JSON; latin-1 gives each byte a character.
        document, _ = _BINARY.raw_decode(body.decode("latin-1"))
        outputs = msgspec.convert(document, _AnsweredOutputs).outputs
    except (ValueError, msgspec.MsgspecError) as exc:
        return f"not a response of the protocol: {exc}: {_shown(body)}"
    return _shapes(payload, outputs)


def _shapes(payload: Payload, outputs: list[_AnsweredOutput]) -> str | None:
    if not outputs:
        return "the answer has no outputs"
    wrong = (_rows(payload, output.shape[0] if output.shape else 1) for output in outputs)
    return next((each for each in wrong if each), None)


def _rows(payload: Payload, rows: int) -> str | None:
    if payload.rows is None or rows == payload.rows:
        return None
    return f"{payload.rows} rows were asked for, {rows} were answered"


def _shown(body: bytes) -> str:
    return body[:120].decode(errors="replace")
