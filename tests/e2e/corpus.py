"""Several hundred requests that no server may answer with a prediction, made from a model's own description."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec

Bad = dict[str, Any]


class Shape(msgspec.Struct, frozen=True):
    """A good body of a model, in the form `form`, and the texts and numbers that break it."""

    name: str
    good: Bad
    form: str


UNBALANCED = ("[", "]", "{", "}", "--1", "1e", "1,,2", "#", "/*", "None", "True", "1 2", "\\u0031", ":")


def http(body: bytes, *lines: bytes, first: bytes = b"POST /predict HTTP/1.1") -> bytes:
    """One request whose length is right."""
    head = [first, b"Host: here", b"Content-Length: %d" % len(body), *lines, b"", b""]
    return b"\r\n".join(head) + body


def scalars() -> list[str]:
    """JSON that is no cell of any kind of column, as text; the last ones are not even JSON."""
    good = ["{}", "[]", '{"a":1}', "[[[[[1]]]]]", "[null]", "1e400", "-1e400", '"\\ud800"']
    return [
        *good,
        "NaN",
        "Infinity",
        "-Infinity",
        "nan",
        "01",
        "+1",
        ".5",
        "1.",
        "0x10",
        "'a'",
        "undefined",
        "",
        "tru",
        *UNBALANCED,
    ]


def broken(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places within a body."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from broken(item, (*path, key))


def put(value: Any, path: tuple[Any, ...], text: str) -> str:
    """The body as JSON with `text` at a place of it."""
    mark = "\x00here"

    def replaced(node: Any, rest: tuple[Any, ...]) -> Any:
        if not rest:
            return mark
        if isinstance(node, dict):
            return {key: replaced(item, rest[1:]) if key == rest[0] else item for key, item in node.items()}
        return [replaced(item, rest[1:]) if index == rest[0] else item for index, item in enumerate(node)]

    return json.dumps(replaced(value, path)).replace(json.dumps(mark), text)


def bodies(good: Bad) -> Iterator[bytes]:
    """Bodies that are no request for this model."""
    whole = json.dumps(good)
    yield from (whole[:cut].encode() for cut in range(len(whole)))
    yield from (
        whole[:at].encode() + bad + whole[at + 1 :].encode()
        for at in structure(whole)
        for bad in (b";", b"\x00", b"\xff", b"'", b"(")
    )
    yield from (whole.encode() + junk for junk in (b"x", b"{}", b"]", b"\x00", b"\xff", b",", whole.encode()))
    for path in broken(good):
        yield from (put(good, path, text).encode() for text in scalars())
    key = next(iter(good))
    value = json.dumps(good[key])
    yield f'{{"{key}":{value},"{key}":{value}}}'.encode()
    yield from (f'{{"{key}":{value},"{extra}":1}}'.encode() for extra in ("x", "DATA", "rows", "", "params"))
    yield from (
        f'{{"{key}":{value},"id":{text}}}'.encode() for text in ("1", "[]", '""', '" "', '"é"', f'"{"i" * 129}"')
    )
    yield from (b"", b" ", b"null", b"[]", b"{}", b"0", b'""', b"true", b"\xef\xbb\xbf{}", b"\xff\xfe{\x00}\x00")
    yield from (b"[" * 100_000, b'{"data":' * 50_000, b'{"data":[' + b"[" * 100_000, b"9" * 100_000)
    yield whole.encode("utf-16")
    yield json.dumps({key: good[key], "inputs" if key != "inputs" else "data": good[key]}).encode()


def structure(whole: str) -> list[int]:
    """The places of the signs that hold a body together."""
    return [at for at, sign in enumerate(whole) if sign in '{}[]:"']


def rows(good: Bad) -> Iterator[bytes]:
    """Rows too short, too long, none, and too many."""
    first = next(iter(good))
    value = good[first]
    if isinstance(value, list):
        row = value[0]
        changed: list[Any] = [[], [[]], [row, []], [[row]], [[[row]]], row, [value] * 2, [row] * 10_001]
        if isinstance(row, list):
            changed += [[row[:-1]], [[*row, row[-1]]], [row, row[:-1]], [row * 2]]
        yield from (json.dumps({first: each}).encode() for each in changed)


def requests(good: Bad) -> Iterator[bytes]:
    """Whole requests: the bodies above, and heads that are wrong around a good body."""
    for body in [*bodies(good), *rows(good)]:
        yield http(body, b"Content-Type: application/json")
    whole = json.dumps(good).encode()
    kinds = [
        b"text/html",
        b"application/xml",
        b"application/json2",
        b"json",
        b"multipart/form-data",
        b"image/png",
        b"\xff",
    ]
    yield from (http(whole, b"Content-Type: " + kind) for kind in kinds)
    yield from (http(whole, b"Content-Encoding: " + kind) for kind in (b"gzip", b"br", b"deflate", b"zstd"))
    yield from (http(whole, b"Content-Type: " + kind) for kind in (b"application/x-npy", b"application/octet-stream"))
    yield from (http(body, b"Content-Type: application/x-npy") for body in npy())
    yield from (
        http(body, b"Content-Type: text/csv") for body in (b"", b"\n", b"a", b"a,b\n1", b"\xff\n1", b'"', b"\x00\n\x00")
    )
    yield from (http(whole, b"X-Request-Id: " + each) for each in (b"", b"a b", b"\xe9", b"i" * 129))
    yield from (
        http(whole, first=b"%b /predict HTTP/1.1" % each) for each in (b"PUT", b"DELETE", b"PATCH", b"GET", b"OPTIONS")
    )
    paths = [
        b"/predic",
        b"/predict/",
        b"//predict",
        b"/PREDICT",
        b"/predict%00",
        b"*",
        b"/../predict",
        b"/predict/label/x",
    ]
    yield from (http(whole, first=b"POST " + path + b" HTTP/1.1") for path in paths)


def npy() -> Iterator[bytes]:
    """Binary arrays that are none, or lie about themselves."""
    head = b"\x93NUMPY\x01\x00"
    headers = [
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 4000000000), }",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4), }",
        b"{'descr': '|O', 'fortran_order': False, 'shape': (1, 4), }",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (), }",
        b"{'descr': '<M8[s]', 'fortran_order': False, 'shape': (1, 4), }",
        b"__import__('os').abort()",
        b"{" * 5000,
        b"",
    ]
    yield from (head + len(each).to_bytes(2, "little") + each + b"\x00" * 16 for each in headers)
    yield from (b"", b"\x93NUMPY", head, head + b"\xff\xff", b"\x93NUMPY\x09\x00" + b"\x00" * 20, b"\x80\x04\x95pickle")


def not_http() -> list[bytes]:
    """Bytes that are no HTTP/1.1 request; each ends its connection."""
    post = b"POST /predict HTTP/1.1\r\nHost: h\r\n"
    return [
        b"\x00" * 100,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT here:80 HTTP/1.1\r\nHost: here\r\n\r\n",
        b"POST /predict HTTP/1.1\r\n\r\n",
        post + b"Host: other\r\n\r\n",
        post + b"Content-Length: -1\r\n\r\n",
        post + b"Content-Length: abc\r\n\r\n",
        post + b"Content-Length: 99999999999999999999\r\n\r\n",
        post + b"Content-Length: 999999999\r\n\r\n",
        post + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        post + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        post + b"Transfer-Encoding: gzip\r\n\r\n{}",
        post + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
        post + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}}}\r\n",
        post + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 20 + b"\r\n",
        post + b"A: b\r\n folded\r\n\r\n",
        post + b"A\x00: b\r\n\r\n",
        post + b"A: \x00\r\n\r\n",
        post + b"A : b\r\n\r\n",
        post + b"nothing\r\n\r\n",
        post + b"A: " + b"b" * 600_000,
        post + b"A: b\r\n" * 200 + b"\r\n",
        b"GET /" + b"a" * 600_000,
    ]
