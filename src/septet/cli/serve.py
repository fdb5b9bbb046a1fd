"""`septet serve`: a model over HTTP."""

from argparse import Namespace

from septet.cli.flags import add_path, add_settings, resolved_settings
from septet.cli.parser import Parser

ARGUMENTS = "PATH"
DESCRIPTION = """\
Serve a model over HTTP: a model file (.onnx, .skops), or a package that `septet pack` or `septet.save` wrote.
Names, types and labels come from the model itself; no code and no configuration are needed."""
EXAMPLE = """\
examples:
  septet serve iris.onnx
  septet serve iris/ --port 9000 --workers 2
  septet serve iris.onnx --labels label.json --host 0.0.0.0"""


def configure(parser: Parser) -> None:
    """Add the command's arguments."""
    add_path(parser)
    parser.add_argument(
        "--print-config", action="store_true", help="print the effective settings and where each comes from, and stop"
    )
    add_settings(parser, ("server", "limits", "model", "logs"))


def run(args: Namespace) -> int:
    """Serve until told to stop.

    Raises:
        StartupError: the settings, the model or the address cannot be used.
    """
    resolved = resolved_settings(args)
    if args.print_config:
        from septet.settings.rendering import as_toml

        print(as_toml(resolved), end="")
        return 0
    from septet.assembly import serving
    from septet.assembly.serving import Addresses
    from septet.cli.banner import banner
    from septet.cli.progress import Progress
    from septet.service import Service

    settings = resolved.settings
    progress = Progress(f"loading {args.path} ...")

    def announce(service: Service, place: Addresses) -> None:
        progress.done()
        print(banner(service, place.url, workers=settings.server.workers, grpc=place.grpc), flush=True)

    with progress:
        return serving.serve(args.path, settings, announce=announce)
