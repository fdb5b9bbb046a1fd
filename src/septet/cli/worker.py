"""`septet worker`: answers jobs that a server has accepted."""

from argparse import Namespace
from collections.abc import Sequence

from septet.cli.flags import add_paths, add_settings, settings
from septet.cli.parser import Parser
from septet.cli.progress import Progress
from septet.cli.terminal import show

ARGUMENTS = "PATH [PATH ...] --jobs URL"
DESCRIPTION = """\
Answer jobs that servers with the same --jobs have accepted, for these models: on the same machine with SQLite, on any
with Redis. Any number of workers may run and come and go. One that is told to stop finishes what it has begun, or gives
it back."""
EXAMPLE = """\
examples:
  septet worker iris.onnx --jobs redis://10.0.0.5:6379/0
  septet worker iris.onnx wine/ --jobs sqlite:///jobs.db --job-workers 4"""


def configure(parser: Parser) -> None:
    """Add the command's arguments."""
    add_paths(parser)
    keys = ("server.grace_seconds", "server.hang_seconds", "server.poison_seconds", "server.stuck_run_seconds")
    add_settings(parser, ("jobs", *keys, "server.watch", "server.allow_missing", "limits", "model", "logs"))


def run(args: Namespace) -> int:
    """Answer jobs until a signal stops it.

    Raises:
        StartupError: the settings, the models or the store cannot be used.
    """
    from septet.assembly.serving_plan import Addresses
    from septet.assembly.working import work
    from septet.service import Service

    chosen = settings(args)
    progress = Progress(f"loading {', '.join(map(str, args.paths))} ...")

    def announce(services: Sequence[Service], addresses: Addresses) -> None:
        progress.done()
        names = ", ".join(f"{each.identity.name} {each.identity.version}" for each in services)
        show((f"Answering jobs for {names} from {addresses.url}, {chosen.jobs.workers} at work. Stop with Ctrl+C.",))

    with progress:
        return work(args.paths, chosen, announce=announce)
