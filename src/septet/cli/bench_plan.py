"""What `septet bench` sends: the model's own rows, those of a file, or a body as it is."""

import os
from argparse import Namespace
from pathlib import Path
from typing import Any

import msgspec

from septet.bench.address import ask, target_of
from septet.bench.answer_check import check_for
from septet.bench.load import LoadPlan, Payload, Target
from septet.bench.requests import Requests, request_bytes
from septet.bench.served_model import ServedDescription, described
from septet.cli.data_file import joined_batches, tensor_batches
from septet.errors import Invalid, NotFound
from septet.model.package import read_package
from septet.protocols.codecs import examples
from septet.remote.caller_tls import CallerTls
from septet.settings.resolution import CLIENT_KEY_ENV
from septet.tables.table_formats import format_of
from septet.types import Tensors

# A server's own answer to its sample, where no package states more: float32 rounds at 6e-8 of a value.
SAMPLE_RELATIVE_TOLERANCE, SAMPLE_ABSOLUTE_TOLERANCE = 1e-4, 1e-6
_ANSWERED = range(200, 300)


def planned(args: Namespace, url: str) -> tuple[LoadPlan, dict[str, Any]]:
    """Make the requests and send the first; return them, and what is known of the server.

    Raises:
        Invalid: the requests cannot be made, or the server does not answer the first one well.
        NotFound: a file does not exist.
        Unavailable: the server does not answer.
    """
    tls = CallerTls(args.ca, args.client_certificate, args.client_key)
    api_key = os.environ.get(CLIENT_KEY_ENV, "")
    target, prefix = target_of(url, tls=tls, insecure=args.insecure, api_key=api_key)
    if args.path is not None:
        server: dict[str, Any] = {"url": url, "name": target.authority, "path": prefix + args.path}
        plan = LoadPlan(target, (_raw(args, target, prefix),))
    else:
        description = described(target, prefix, args.timeout)
        requests = Requests(target, prefix, description.signature, description.name, args.protocol)
        plan = LoadPlan(target, _payloads(args, description, requests), requests.form)
        known = {name: getattr(description, name) for name in ("name", "version", "digest", "runtime")}
        server = {"url": url, **known, "path": requests.path, "protocol": args.protocol}
        server["rows_per_request"] = args.rows_per_request
    _try(plan, args.timeout)
    return plan, server


def _raw(args: Namespace, target: Target, prefix: str) -> Payload:
    headers = {}
    for line in args.header:
        name, colon, value = line.partition(":")
        if not colon or not name.strip() or "\n" in line or "\r" in line:
            raise Invalid(f"--header {line!r}: must be 'NAME: VALUE'")
        headers[name.strip()] = value.strip()
    body = _file(args.body).read_bytes() if args.body else b""
    if body:
        headers = {"content-type": args.content_type, **headers}
    if not args.path.startswith("/") or not args.path.isascii() or any(each.isspace() for each in args.path):
        raise Invalid("--path must start with / and have no spaces; write others as %XX")
    method = args.method or ("POST" if body else "GET")
    return Payload(request_bytes(target, method, prefix + args.path, headers, body), len(body))


def _payloads(args: Namespace, description: ServedDescription, requests: Requests) -> tuple[Payload, ...]:
    if args.data is not None:
        with _file(args.data).open("rb") as stream:
            form = args.data_format or format_of(Path(args.data))
            tensors = joined_batches(tensor_batches(description.signature, stream, form, args.data))
        return requests.payloads(tensors, args.rows_per_request)
    package = read_package(Path(args.target)) if Path(args.target).is_dir() else None
    golden = None if package is None else package.golden
    if args.verify:
        if args.rows_per_request != 1:
            raise Invalid("--verify compares the answers to single rows: give it without --rows-per-request.")
        if package is not None and golden is not None:
            answer = examples.prediction(package.manifest.signature, golden.answer)
            tolerances = golden.absolute_tolerance, golden.relative_tolerance
            return _verified(requests, golden.request, answer, tolerances, rows=description.signature.rows)
        return _verified(
            requests,
            _sample(description),
            description.prediction,
            (SAMPLE_ABSOLUTE_TOLERANCE, SAMPLE_RELATIVE_TOLERANCE),
            rows=description.signature.rows,
        )
    return requests.payloads(_sample(description) if golden is None else golden.request, args.rows_per_request)


def _verified(
    requests: Requests, tensors: Tensors, answer: Any, tolerances: tuple[float, float], *, rows: bool
) -> tuple[Payload, ...]:
    """One request a row, each with the answer it must get."""
    if not rows or not isinstance(answer, list):
        raise Invalid("--verify: this model's answers have no rows, or none is known.")
    absolute, relative = tolerances
    return tuple(
        msgspec.structs.replace(
            requests.payload({name: array[at : at + 1] for name, array in tensors.items()}, 1),
            expected=[expected],
            absolute_tolerance=absolute,
            relative_tolerance=relative,
        )
        for at, expected in enumerate(answer)
    )


def _sample(description: ServedDescription) -> Tensors:
    if description.sample is None:
        raise Invalid(f"{description.name} has no sample row: give rows with --data.")
    return description.sample


def _try(plan: LoadPlan, timeout: float) -> None:
    """Send the first request, so that a wrong one is reported once and not a thousand times."""
    payload = plan.payloads[0]
    status, body = ask(plan.target, payload.data, timeout)
    if status not in _ANSWERED:
        raise Invalid(f"the server answers the first request with {status}: {body[:500].decode(errors='replace')}")
    wrong = check_for(plan.form)(payload, body)
    if wrong is not None:
        raise Invalid(f"the server's first answer is wrong: {wrong}")


def _file(path: str) -> Path:
    found = Path(path)
    if not found.is_file():
        raise NotFound(f"{path}: there is no such file")
    return found
