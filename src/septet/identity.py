"""Which model answered. By itself, so that processes that predict nothing need no arrays."""

import msgspec


class Identity(msgspec.Struct, frozen=True):
    """Who answered: stands in every answer, metric, log line and job.

    `digest` is `sha256:` and 64 hexadecimal digits: the artefact's for a bare file, the manifest's for a package.
    """

    name: str
    version: str
    digest: str
