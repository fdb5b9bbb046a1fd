"""The settings of jobs: where they are stored, how they are answered, and where answers may be brought to."""

from typing import Annotated

import msgspec
from msgspec import Meta

from septet.settings.units import BYTES, SECONDS

#: A name for an address, such as `answers=file:///srv/answers`.
SINK_PATTERN = r"^[a-z][a-z0-9_-]{0,62}=\S+\Z"
#: `*` for every host; a name or an IP address; `*.` and a name for all hosts below it.
WEBHOOK_HOST_PATTERN = r"^(\*|(\*\.)?[a-z0-9._-]*[a-z0-9]|\[[0-9a-f:.]+\])\Z"
#: As Standard Webhooks writes a symmetric secret.
WEBHOOK_SECRET_PATTERN = r"^whsec_[A-Za-z0-9+/]{32,88}={0,2}\Z"  # noqa: S105 - it is the form of one
WEBHOOK_NETWORK_PATTERN = r"^[0-9a-f:.]+/[0-9]{1,3}\Z"


class Jobs(msgspec.Struct, frozen=True):
    """Requests that are answered later; see docs/jobs.md."""

    store: Annotated[
        str | None,
        Meta(
            min_length=1,
            description="where jobs are stored: sqlite:///jobs.db, or redis://host:6379/0; default: none are accepted",
            extra={"flag": "jobs", "secret": True, "metavar": "URL"},
        ),
    ] = None
    durable: Annotated[
        bool,
        Meta(description="refuse a store that may lose a job that it has accepted", extra={"flag": "jobs-durable"}),
    ] = False
    workers: Annotated[
        int,
        Meta(
            ge=0,
            le=1024,
            description="processes of this server that answer jobs; 0 where septet worker does",
            extra={"flag": "job-workers"},
        ),
    ] = 1
    most_at_once: Annotated[
        int,
        Meta(ge=1, le=10_000, description="most jobs that a worker takes at once", extra={"flag": "job-batch"}),
    ] = 256
    run_seconds: Annotated[
        float,
        Meta(gt=0, le=604_800, description="time for one attempt of a job", extra={"flag": "job-seconds", **SECONDS}),
    ] = 3600.0
    lease_seconds: Annotated[
        float,
        Meta(
            ge=0.5,
            le=3600,
            description="time without a sign of life after which the jobs of a worker are given to others",
            extra={"flag": "job-lease", **SECONDS},
        ),
    ] = 15.0
    attempts: Annotated[
        int, Meta(ge=1, le=100, description="most attempts of a job that fails", extra={"flag": "job-attempts"})
    ] = 3
    max_age_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=31_536_000,
            description="time after the first begin of a job from which a failed attempt is its last",
            extra={"flag": "job-max-age", **SECONDS},
        ),
    ] = 300.0
    keep_seconds: Annotated[
        float,
        Meta(
            gt=0,
            le=31_536_000,
            description="time for which a job that has ended, and its answer, are kept",
            extra={"flag": "job-keep", **SECONDS},
        ),
    ] = 86_400.0
    max_answer_bytes: Annotated[
        int,
        Meta(
            ge=1,
            le=500_000_000,
            description="most bytes of the answer of one job; one with a larger answer fails",
            extra={"flag": "job-max-answer", **BYTES},
        ),
    ] = 67_108_864
    max_waiting: Annotated[
        int,
        Meta(ge=1, description="most jobs that wait; more are told to retry (429)", extra={"flag": "jobs-max-waiting"}),
    ] = 1_000_000
    max_waiting_seconds: Annotated[
        float,
        Meta(
            gt=0,
            description="while the oldest job has waited for longer, more are told to retry (429)",
            extra={"flag": "jobs-max-waiting-seconds", **SECONDS},
        ),
    ] = 86_400.0
    max_bytes: Annotated[
        int,
        Meta(
            ge=1,
            description="most bytes of bodies and answers in the store",
            extra={"flag": "jobs-max-bytes", **BYTES},
        ),
    ] = 8_589_934_592

    sinks: Annotated[
        tuple[str, ...],
        Meta(
            description="a place to which callers may have answers brought, NAME=ADDRESS, see docs/sinks.md; "
            "repeatable",
            extra={"flag": "sink", "secret": True, "pattern": SINK_PATTERN, "metavar": "NAME=ADDRESS"},
        ),
    ] = ()
    webhook_hosts: Annotated[
        tuple[str, ...],
        Meta(
            description="hosts of the webhooks that callers may name by URL: a name, *.name, or * for all; repeatable; "
            "default: none",
            extra={"flag": "webhook-host", "pattern": WEBHOOK_HOST_PATTERN, "metavar": "HOST"},
        ),
    ] = ()
    webhook_secrets: Annotated[
        tuple[str, ...],
        Meta(
            description="what webhooks are signed with: whsec_ and the base64 of 24 to 64 bytes; by environment, "
            "not by flag; repeatable, for one that replaces another",
            extra={"flag": "webhook-secret", "secret": True, "pattern": WEBHOOK_SECRET_PATTERN, "metavar": "SECRET"},
        ),
    ] = ()
    webhook_networks: Annotated[
        tuple[str, ...],
        Meta(
            description="networks that webhooks may be in, beside the public internet, such as 10.0.0.0/8; repeatable",
            extra={"flag": "webhook-network", "pattern": WEBHOOK_NETWORK_PATTERN, "metavar": "NETWORK"},
        ),
    ] = ()
    webhook_ports: Annotated[
        tuple[str, ...],
        Meta(
            description="ports of webhooks that callers name; repeatable",
            extra={"flag": "webhook-port", "pattern": r"^[1-9][0-9]{0,4}\Z", "metavar": "PORT"},
        ),
    ] = ("443", "80")
    webhook_http: Annotated[
        bool, Meta(description="webhooks that callers name may be http:, which nothing protects on its way")
    ] = False

    def __repr__(self) -> str:
        """Show every field but those that may have a password."""
        secret = ("store", "sinks", "webhook_secrets")
        shown = ((name, getattr(self, name)) for name in self.__struct_fields__)
        masked = (f"{name}={'***' if name in secret and value else repr(value)}" for name, value in shown)
        return f"Jobs({', '.join(masked)})"
