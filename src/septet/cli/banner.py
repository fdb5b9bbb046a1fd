"""What a person sees when a server is ready: what is served, where, and a command that tries it."""

import shlex
from collections.abc import Sequence
from pathlib import Path

import msgspec

from septet.cli.overview import age_text, columns_text, labels_text, short_digest
from septet.printable import printable_json
from septet.protocols.codecs import examples
from septet.service import Service

_WIDEST = 64  # columns from which a command with a whole row can no longer be read
_KEY = '-H "authorization: Bearer $API_KEY"'
_LONGEST = 2000  # characters of a command that still fits a screen


class BannerServer(msgspec.Struct, frozen=True):
    """The server that a banner tells of.

    Attributes:
        url: its own, with the port it listens on.
        workers: how many processes answer.
        grpc: where it answers gRPC, each as host and port.
        unix_socket: where it listens in place of the URL's host and port, or None.
        keyed: whether a caller needs an API key.
        jobs: where jobs are stored, without a password, and who answers them; None where none are accepted.
    """

    url: str
    workers: int
    grpc: Sequence[str] = ()
    unix_socket: Path | None = None
    keyed: bool = False
    jobs: str | None = None


def banner(
    service: Service,
    server: BannerServer,
) -> list[str]:
    """The lines to print."""
    identity, manifest, signature = service.identity, service.manifest, service.signature
    here = _reachable(server.url)
    facts = {
        "model": f"{identity.name}, version {identity.version}, {short_digest(identity.digest)}",
        "kind": f"{signature.kind} with {manifest.runtime}",
        "input": columns_text(signature),
        "labels": labels_text(signature),
        "data": age_text(service.freshness()),
        "workers": str(server.workers),
        "jobs": server.jobs or "",
        **_places(here, server.grpc, server.unix_socket),
    }
    lines = [f"{name:<9} {text}" for name, text in facts.items() if text]
    return [
        f"Septet serves {identity.name}.",
        "",
        *(f"  {line}" for line in lines),
        "",
        f"  {command(service, here, server.unix_socket, keyed=server.keyed)}",
        "",
        "Ctrl+C stops.",
    ]


def banner_of_several(
    services: Sequence[Service],
    server: BannerServer,
) -> list[str]:
    """The same for models that are served side by side."""
    here = _reachable(server.url)
    width = max(len(service.identity.name) for service in services)
    models = [
        f"{service.identity.name:<{width}}  version {service.identity.version}, "
        f"{short_digest(service.identity.digest)}, "
        f"{service.signature.kind} with {service.manifest.runtime}, {here}/models/{service.identity.name}/predict"
        for service in services
    ]
    facts = {
        "workers": str(server.workers),
        "jobs": server.jobs or "",
        **_places(here, server.grpc, server.unix_socket),
    }
    lines = [*models, "", *(f"{name:<9} {text}" for name, text in facts.items() if text)]
    first = services[0]
    return [
        f"Septet serves {len(services)} models.",
        "",
        *(f"  {line}".rstrip() for line in lines),
        "",
        f"  {command(first, f'{here}/models/{first.identity.name}', server.unix_socket, keyed=server.keyed)}",
        "",
        "Ctrl+C stops.",
    ]


def _places(here: str, grpc: Sequence[str], unix_socket: Path | None) -> dict[str, str]:
    """Where the server answers; a browser cannot open a Unix socket."""
    calls = ", ".join(grpc)
    if unix_socket is None:
        return {"at": here, "gRPC at": calls, "try out": f"{here}/docs"}
    return {"at": f"unix:{unix_socket}", "gRPC at": calls}


def command(service: Service, url: str, unix_socket: Path | None = None, *, keyed: bool = False) -> str:
    """Write a shell command that gets a prediction; of a wide model, the one for its own sample.

    `url` is what stands before the model's `/predict`; a `keyed` command has an API key of the shell's.
    """
    signature, sample = service.signature, service.sample
    curl = "curl" if unix_socket is None else f"curl --unix-socket {shlex.quote(str(unix_socket))}"
    if keyed:
        curl += f" {_KEY}"
    if sample is None:
        return f"{curl} {shlex.quote(url + '/metadata')}"
    test = f"{curl} {shlex.quote(url + '/predict/test')}"
    if len(signature.columns) >= _WIDEST:
        return test
    records, rows = examples.records(signature, sample), examples.data(signature, sample)
    if records is not None:
        body: object = {"records": records}
    else:
        body = {"inputs": examples.inputs(signature, sample)} if rows is None else {"data": rows}
    payload = shlex.quote(printable_json(msgspec.json.encode(body).decode()))
    full = f"{curl} {shlex.quote(url + '/predict')} -H 'content-type: application/json' -d {payload}"
    return full if len(full) <= _LONGEST else test


def _reachable(url: str) -> str:
    """Write an address that can be opened in place of one that means every network."""
    for every, loopback in (("//0.0.0.0:", "//127.0.0.1:"), ("//[::]:", "//[::1]:")):
        url = url.replace(every, loopback)
    return url.rstrip("/")
