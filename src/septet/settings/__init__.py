"""Everything that can be set, declared once.

Flags, environment names, keys of the configuration file, help texts and `docs/settings.md` all derive from the
structs here (`septet.settings.fields` reads them). `septet.settings.resolution` finds the effective values; below
the command line, these records are plain arguments.

`Meta.extra` may hold: `flag` (where it is not the field's own name), `unit`, `secret`, `file` (the value is a path
that must exist) and `pattern` (for each string of a repeatable setting).
"""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from septet.settings.batch_settings import Batch as Batch
from septet.settings.job_settings import Jobs as Jobs
from septet.settings.units import BYTES, DAYS, SECONDS

Level: TypeAlias = Literal["debug", "info", "warning", "error"]
Format: TypeAlias = Literal["text", "json"]
ExtraColumns: TypeAlias = Literal["refuse", "ignore"]

#: What a model's name, its version and the digest of a trusted file look like. `$` would allow a line feed behind.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z"
VERSION_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}\Z"
DIGEST_PATTERN = r"^(sha256:)?[0-9a-f]{12,64}\Z"
#: A name, and a key of the characters that a header can carry (RFC 9110, 11.2, token68) or the digest of one.
API_KEY_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}=(sha256:[0-9a-f]{64}|[A-Za-z0-9._~+/-]{16,512}=*)\Z"
#: As browsers write them: scheme, host and a port that is not the scheme's own.
ORIGIN_PATTERN = r"^(\*|[a-z][a-z0-9+.-]*://[a-z0-9._\[\]:-]+)\Z"
HOST_PATTERN = r"^(\*\.)?([A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?\Z"


class Server(msgspec.Struct, frozen=True):
    """Where and how processes listen, and how they end."""

    host: Annotated[str, Meta(min_length=1, description="address to listen on; 0.0.0.0 for every network")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=0, le=65535, description="TCP port to listen on; 0 takes a free one")] = 8000
    unix_socket: Annotated[
        str | None,
        Meta(
            min_length=1,
            description="path of a Unix socket to serve HTTP on in place of host and port, for a proxy on this machine",
        ),
    ] = None
    unix_socket_mode: Annotated[
        str,
        Meta(
            pattern=r"^0?[0-7]{3}\Z",
            description="file mode of the Unix socket: who may write to it may connect",
        ),
    ] = "660"
    grpc_port: Annotated[
        int | None,
        Meta(ge=0, le=65535, description="TCP port to serve gRPC on as well; 0 takes a free one; default: no gRPC"),
    ] = None
    workers: Annotated[int, Meta(ge=1, le=1024, description="processes that share the port")] = 1
    backlog: Annotated[
        int, Meta(ge=1, le=65535, description="connections the system may hold before they are accepted")
    ] = 2048
    drain_delay_seconds: Annotated[
        float,
        Meta(ge=0, le=3600, description="after a stop signal: time to answer on as not ready", extra=SECONDS),
    ] = 0.0
    grace_seconds: Annotated[
        float, Meta(gt=0, le=3600, description="after that: time for requests in flight to finish", extra=SECONDS)
    ] = 30.0
    stuck_run_seconds: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description="time for a run to end after nobody waits for it any more; then its worker is replaced",
            extra=SECONDS,
        ),
    ] = 5.0
    hang_seconds: Annotated[
        float,
        Meta(ge=5, le=3600, description="time after which a worker that stands still is replaced", extra=SECONDS),
    ] = 60.0
    poison_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=86400,
            description="time for which values that ended a worker twice are refused; 0 refuses none",
            extra=SECONDS,
        ),
    ] = 600.0
    max_requests: Annotated[
        int, Meta(ge=0, description="requests after which a worker is replaced by a fresh one; 0 for never")
    ] = 0
    max_requests_jitter: Annotated[
        int, Meta(ge=0, description="random addition to max_requests, so that workers do not restart together")
    ] = 0
    tls_certificate: Annotated[
        str | None,
        Meta(
            description="PEM file with the certificate chain, to serve HTTPS; read again when it changes",
            extra={"file": True},
        ),
    ] = None
    tls_key: Annotated[str | None, Meta(description="PEM file with the certificate's key", extra={"file": True})] = None
    tls_key_password: Annotated[
        str | None,
        Meta(description="password of the key; better by environment than by flag", extra={"secret": True}),
    ] = None
    tls_client_ca: Annotated[
        str | None,
        Meta(
            description="PEM file with the authorities of callers: who has no certificate of theirs is refused",
            extra={"file": True},
        ),
    ] = None
    root_path: Annotated[
        str,
        Meta(
            pattern=r"^(/[A-Za-z0-9._~@:+,=%-]+)*\Z",
            description="path under which a proxy publishes this server, such as /models/iris",
        ),
    ] = ""
    metrics_dir: Annotated[
        str | None,
        Meta(description="directory in which processes of another ASGI server share metrics; default: none"),
    ] = None

    admin_socket: Annotated[
        str | None,
        Meta(
            description="Unix socket for septet release, for this user alone; none for no such socket; default: "
            "PORT.sock in a folder of the user's"
        ),
    ] = None
    watch: Annotated[bool, Meta(description="release a model again when its files change, as septet release does")] = (
        False
    )
    allow_missing: Annotated[
        bool, Meta(description="of several models, serve those that can be loaded where others cannot")
    ] = False

    def __repr__(self) -> str:
        """Show every field but the password."""
        shown = ((name, getattr(self, name)) for name in self.__struct_fields__)
        masked = (f"{name}={'***' if name == 'tls_key_password' and value else repr(value)}" for name, value in shown)
        return f"Server({', '.join(masked)})"


class Limits(msgspec.Struct, frozen=True):
    """What a caller may ask for; beyond it a request is refused."""

    max_body_bytes: Annotated[int, Meta(ge=1, description="largest request body", extra=BYTES)] = 16_777_216
    max_rows: Annotated[int, Meta(ge=1, description="most rows in one request")] = 10_000
    max_pending: Annotated[
        int, Meta(ge=1, description="most requests a worker holds at once; more are told to retry (429)")
    ] = 1024
    timeout_seconds: Annotated[
        float,
        Meta(gt=0, le=86400, description="time to answer a request that names no deadline", extra=SECONDS),
    ] = 30.0
    max_timeout_seconds: Annotated[
        float, Meta(gt=0, le=86400, description="longest deadline a caller may name", extra=SECONDS)
    ] = 300.0
    route_timeouts: Annotated[
        tuple[str, ...],
        Meta(
            description="timeout_seconds for one protocol's routes, gRPC's among those of /v2: /predict, /invocations, "
            "/v1 or /v2, = and the seconds; repeatable",
            extra={
                "flag": "route-timeout",
                "pattern": r"^/(predict|invocations|v1|v2)=(?=.*[1-9])\d{1,5}(\.\d{1,3})?$",
                "metavar": "ROUTE=SECONDS",
            },
        ),
    ] = ()
    max_header_bytes: Annotated[
        int, Meta(ge=1024, le=16_777_216, description="largest request line and headers together", extra=BYTES)
    ] = 32_768
    max_headers: Annotated[int, Meta(ge=1, le=10_000, description="most header lines in a request")] = 100
    header_timeout_seconds: Annotated[
        float, Meta(gt=0, le=86400, description="time to receive a request's headers", extra=SECONDS)
    ] = 10.0
    body_timeout_seconds: Annotated[
        float, Meta(gt=0, le=86400, description="time to receive a request's body", extra=SECONDS)
    ] = 30.0
    keep_alive_seconds: Annotated[
        float, Meta(gt=0, le=86400, description="time an idle connection is kept open", extra=SECONDS)
    ] = 75.0
    max_unread_bytes: Annotated[
        int,
        Meta(
            ge=65_536,
            description="bytes of answers that a gRPC client may leave unread on a connection before its further calls "
            "wait; at twice as many, answers are dropped",
            extra=BYTES,
        ),
    ] = 33_554_432
    max_connections: Annotated[int, Meta(ge=1, description="most connections open to a worker")] = 4096
    extra_columns: Annotated[
        ExtraColumns,
        Meta(
            description="what becomes of columns in records, frames and CSV that the model does not have; "
            "/invocations ignores them always, as MLflow does"
        ),
    ] = "refuse"

    def seconds_of(self, route: str) -> float:
        """The time to answer a request of these routes that names no deadline."""
        found = dict(each.split("=") for each in self.route_timeouts).get(route)
        return self.timeout_seconds if found is None else float(found)


class Access(msgspec.Struct, frozen=True):
    """Who may ask; see docs/access.md."""

    api_keys: Annotated[
        tuple[str, ...],
        Meta(
            description="keys that callers must send, each as NAME=KEY or NAME=sha256:DIGEST; by environment, not by "
            "flag; repeatable",
            extra={"secret": True, "pattern": API_KEY_PATTERN, "metavar": "NAME=KEY"},
        ),
    ] = ()
    api_keys_file: Annotated[
        str | None,
        Meta(
            description="TOML file with the digests of more keys and their limits, read again when it changes; "
            "septet key makes a key",
            extra={"file": True},
        ),
    ] = None
    cors_origins: Annotated[
        tuple[str, ...],
        Meta(
            description="origins whose pages may ask from a browser, such as https://app.example.com, or * for all; "
            "repeatable; default: none",
            extra={"pattern": ORIGIN_PATTERN, "metavar": "ORIGIN"},
        ),
    ] = ()
    allowed_hosts: Annotated[
        tuple[str, ...],
        Meta(
            description="names by which this server may be asked, such as api.example.com or *.example.com; "
            "repeatable; default: any",
            extra={"pattern": HOST_PATTERN, "metavar": "HOST"},
        ),
    ] = ()

    def __repr__(self) -> str:
        """Show every field but the keys."""
        shown = ((name, getattr(self, name)) for name in self.__struct_fields__)
        masked = (f"{name}={'***' if name == 'api_keys' and value else repr(value)}" for name, value in shown)
        return f"Access({', '.join(masked)})"


class Model(msgspec.Struct, frozen=True):
    """Statements about the model, and how it runs."""

    name: Annotated[
        str | None,
        Meta(
            pattern=NAME_PATTERN,
            description="the model's name; default: the package's, else the file's",
        ),
    ] = None
    version: Annotated[
        str | None,
        Meta(
            pattern=VERSION_PATTERN,
            description="the model's version; default: the package's, else 0",
        ),
    ] = None
    labels: Annotated[
        str | None,
        Meta(description='file of class names; "none" ignores the label file that lies beside the model'),
    ] = None
    trust: Annotated[
        tuple[str, ...],
        Meta(
            description="digest of a file that may run code when it is loaded (see septet inspect); repeatable",
            extra={"pattern": DIGEST_PATTERN, "metavar": "DIGEST"},
        ),
    ] = ()
    nullable: Annotated[
        bool, Meta(description="accept null and NaN in every column of a bare model file (packages say it per column)")
    ] = False
    threads: Annotated[
        int, Meta(ge=0, le=1024, description="threads one prediction may use; 0 for the CPUs allowed, by workers")
    ] = 0
    max_batch_rows: Annotated[
        int, Meta(ge=1, le=1_000_000, description="most rows of waiting requests that are run together")
    ] = 256
    fallback: Annotated[
        str | None,
        Meta(
            description="answer for each row where the model fails, is overloaded or late: a JSON object with the "
            'values of each output; "none" for errors, whatever the package says',
            extra={"metavar": "JSON"},
        ),
    ] = None
    middleware: Annotated[
        tuple[str, ...],
        Meta(
            description="module:name of what wraps the predictor, see docs/serving.md; repeatable, outermost first",
            extra={"pattern": r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$", "metavar": "MODULE:NAME"},
        ),
    ] = ()
    allow_stale: Annotated[bool, Meta(description="serve a model whose training data is too old")] = False
    stale_warn_days: Annotated[
        int, Meta(ge=1, le=36500, description="age of the training data that is warned about", extra=DAYS)
    ] = 31
    stale_error_days: Annotated[
        int, Meta(ge=1, le=36500, description="age of the training data that is refused", extra=DAYS)
    ] = 90


class Logs(msgspec.Struct, frozen=True):
    """What is written to standard error."""

    level: Annotated[Level, Meta(description="least severity that is logged", extra={"flag": "log-level"})] = "info"
    format: Annotated[
        Format, Meta(description="lines for people (text) or for machines (json)", extra={"flag": "log-format"})
    ] = "text"
    access: Annotated[bool, Meta(description="log one line per request", extra={"flag": "access-log"})] = False


class Settings(msgspec.Struct, frozen=True):
    """The whole tree."""

    server: Server = Server()
    limits: Limits = Limits()
    access: Access = Access()
    model: Model = Model()
    jobs: Jobs = Jobs()
    batch: Batch = Batch()
    logs: Logs = Logs()
