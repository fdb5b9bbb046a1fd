"""`septet serve`: models over HTTP."""

import gc
import logging
import signal
import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from septet.cli.flags import add_paths, add_settings, resolved_settings
from septet.cli.parser import Parser
from septet.cli.terminal import show
from septet.printable import printable_json

if TYPE_CHECKING:
    from septet.settings import Jobs

logger = logging.getLogger("septet")

ARGUMENTS = "PATH [PATH ...]"
DESCRIPTION = """\
Serve a model, or several, over HTTP: model files (.onnx, .skops), or packages that `septet pack` or `septet.save`
wrote. Names, types and labels come from the model itself; no code and no configuration are needed."""
EXAMPLE = """\
examples:
  septet serve iris.onnx
  septet serve iris/ --port 9000 --workers 2
  septet serve iris.onnx wine/ digits/
  septet serve iris.onnx --labels label.json --host 0.0.0.0"""


def configure(parser: Parser) -> None:
    """Add the command's arguments."""
    add_paths(parser)
    parser.add_argument(
        "--print-config", action="store_true", help="print the effective settings and where each comes from, and stop"
    )
    add_settings(parser, ("server", "limits", "access", "model", "jobs", "logs"))


def run(args: Namespace) -> int:
    """Serve until a signal stops it.

    Raises:
        StartupError: the settings, the model or the address cannot be used.
    """
    resolved = resolved_settings(args)
    if args.print_config:
        from septet.settings.rendering import as_toml

        # TOML escapes as JSON does.
        show(printable_json(as_toml(resolved)).removesuffix("\n").split("\n"))
        return 0
    # Modules live as long as the process: while they are imported, the collector would look at them in vain.
    gc.disable()
    from septet.assembly import serving
    from septet.assembly.serving_plan import Addresses
    from septet.cli.banner import BannerServer, banner, banner_of_several
    from septet.cli.progress import Progress
    from septet.service import Service

    gc.freeze()
    gc.enable()
    settings = resolved.settings
    progress = Progress(f"loading {', '.join(map(str, args.paths))} ...")

    def announce(services: Sequence[Service], addresses: Addresses) -> None:
        progress.done()
        server = BannerServer(
            addresses.url,
            workers=settings.server.workers,
            grpc=addresses.grpc,
            unix_socket=addresses.unix_socket,
            jobs=_jobs(settings.jobs),
            keyed=bool(settings.access.api_keys) or settings.access.api_keys_file is not None,
        )
        lines = banner(services[0], server) if len(args.paths) == 1 else banner_of_several(services, server)
        try:
            show(lines)
            sys.stdout.flush()
        except (OSError, ValueError) as error:
            # Callers need no banner.
            where = addresses.unix_socket or addresses.url
            logger.warning("serving on %s; standard output cannot be written: %s", where, error)

    with progress:
        code = serving.serve(args.paths, settings, announce=announce)
    # It is ending: nothing that still arrives may change how.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    return code


def _jobs(jobs: "Jobs") -> str | None:
    """Where jobs are stored and who answers them; None where none are accepted."""
    if jobs.store is None:
        return None
    from septet.queues.store_address import StoreAddress

    answered = {0: "answered by other processes", 1: "answered by 1 worker of its own"}
    answered_here = answered.get(jobs.workers, f"answered by {jobs.workers} workers of its own")
    return f"in {StoreAddress(jobs.store).shown}, {answered_here}"
