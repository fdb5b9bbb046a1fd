"""The JSON of an inference request, as far as it is the same for every model.

Keys that the protocol does not know are passed over, as its other servers do; the values of `data` are read by
`json_tensors`, once it is known which input they are for.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from septet.errors import Invalid, Malformed, Problem
from septet.model.received import received
from septet.tables.strict_json import strict

#: By name.
Parameters: TypeAlias = Mapping[str, str | int | float | bool]

NO_DATA = msgspec.Raw()
EXAMPLE = '{"inputs": [{"name", "shape", "datatype", "data"}]}'
MICROSECONDS = 1_000_000
_SHARED = ("shared_memory_region", "shared_memory_offset", "shared_memory_byte_size")


class InputTensor(msgspec.Struct):
    """One entry of `inputs`; its `data` is not read yet, and empty where it lies behind the JSON."""

    name: str
    shape: list[int]
    datatype: str
    data: msgspec.Raw = NO_DATA
    parameters: dict[str, str | int | float | bool] | None = None


class WantedOutput(msgspec.Struct):
    """One entry of `outputs`."""

    name: str
    parameters: dict[str, str | int | float | bool] | None = None


class InferDocument(msgspec.Struct):
    """The body of a request, or what stands before its binary tensors."""

    inputs: list[InputTensor]
    id: str | None = None
    parameters: dict[str, str | int | float | bool] | None = None
    outputs: list[WantedOutput] | None = None


class CarefulInput(InputTensor):
    """The same, read with care: `data` is what Python's parser makes of it."""

    data: Any = NO_DATA


class CarefulDocument(InferDocument):
    """The same, read with care."""

    inputs: list[CarefulInput]  # type: ignore[assignment]


def careful(body: bytes) -> CarefulDocument:
    """Read a body that has a fault, or holds NaN, Infinity or -Infinity, which Python's clients write.

    Raises:
        Malformed, Invalid: as `of_parsed`; it is not JSON, or has a key twice.
    """
    return of_parsed(strict(body, EXAMPLE, constant=float))


def of_parsed(parsed: Any) -> CarefulDocument:
    """The document that JSON is.

    Raises:
        Malformed: a text in it has unpaired surrogates.
        Invalid: it is not what the protocol asks for.
    """
    try:
        document = msgspec.convert(parsed, CarefulDocument)
    except msgspec.ValidationError as error:
        raise Invalid(f"The body does not follow the protocol: {error}.", (_problem(error, parsed),)) from None
    except UnicodeEncodeError:
        raise Malformed("A text in the body, outside of data, has unpaired surrogates.") from None
    try:
        (document.id or "").encode()
    except UnicodeEncodeError:
        raise Malformed("The id has unpaired surrogates.") from None
    return document


def quotes(document: InferDocument) -> int:
    """The quotes in the JSON of a document without its data and without any key that is not here.

    With no backslash in the body, each key and each text has exactly two.
    """
    found = 2
    if document.id is not None:
        found += 4
    if document.parameters is not None:
        found += 2 + _quotes(document.parameters)
    if document.outputs is not None:
        found += 2
        for wanted in document.outputs:
            found += 4 if wanted.parameters is None else 6 + _quotes(wanted.parameters)
    for given in document.inputs:
        found += 10 if given.data is NO_DATA else 12
        if given.parameters is not None:
            found += 2 + _quotes(given.parameters)
    return found


def number(parameters: Parameters, name: str, least: int) -> int | None:
    """A parameter that must be a whole number, or None where it is not given.

    Raises:
        Invalid: it is another thing, or less than `least`.
    """
    value = parameters.get(name)
    if value is None:
        return None
    if type(value) is not int or value < least:
        what = f"a whole number of at least {least}"
        raise Invalid(f"The parameter {name!r} must be {what}.", (Problem(None, name, what, received(value)),))
    return value


def flag(parameters: Parameters, name: str) -> bool | None:
    """A parameter that must be true or false, or None where it is not given.

    Raises:
        Invalid: it is another thing.
    """
    value = parameters.get(name)
    if value is None or isinstance(value, bool):
        return value
    raise Invalid(
        f"The parameter {name!r} must be true or false.", (Problem(None, name, "true or false", received(value)),)
    )


def shorter(one: float | None, other: float | None) -> float | None:
    """The shorter of two times, each of which may be missing."""
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)


def timeout(parameters: Parameters) -> float | None:
    """The caller's deadline in seconds; the protocol's `timeout` is in microseconds, and 0 stands for none."""
    microseconds = number(parameters, "timeout", 0)
    return microseconds / MICROSECONDS if microseconds else None


def refuse_shared_memory(parameters: Parameters, name: str) -> None:
    """Refuse a tensor that lies in memory shared with the caller.

    Raises:
        Invalid: it does.
    """
    for key in _SHARED:
        if key in parameters:
            text = f"{name!r} asks for shared memory ({key}), which is not supported. Send the values in the request."
            raise Invalid(text, (Problem(None, name, "values in the request", key),))


def _quotes(parameters: Parameters) -> int:
    return 2 * len(parameters) + 2 * sum(isinstance(value, str) for value in parameters.values())


def _problem(error: msgspec.ValidationError, parsed: object) -> Problem:
    what, _, place = str(error).partition(" - at ")
    return Problem(None, place.strip("`") or None, what, received(parsed))
