"""`septet release`: a new version of a model in a server that runs."""

from argparse import Namespace

import msgspec

from septet.cli.admin_client import ask_admin, socket_of
from septet.cli.flags import add_path
from septet.cli.parser import Parser
from septet.cli.progress import Progress
from septet.cli.terminal import show, show_json
from septet.errors import ModelNotFound
from septet.server.release_messages import ReleaseResult, described

ARGUMENTS = "PATH --to SERVER"
DESCRIPTION = """\
Serve a new version of a model in a server that runs, without a request lost: every worker loads it beside the old one
and proves it by its golden rows, then all switch, and the old one is closed when its last request is answered. A
version that fails its proof, is too old, or breaks what callers send is refused, and the old one is served on.
To roll back, release the old version again."""
EXAMPLE = """\
examples:
  septet release iris-2/ --to http://127.0.0.1:8000
  septet release iris-2.onnx --to 8000 --name iris --version 2
  septet release iris-1/ --to /run/iris/admin.sock"""


def configure(parser: Parser) -> None:
    """Add the command's arguments."""
    add_path(parser)
    parser.add_argument(
        "--to",
        required=True,
        metavar="SERVER",
        help="a server of this user on this machine: its URL, its port, unix:PATH of its Unix socket, or the path of "
        "its admin socket",
    )
    parser.add_argument("--name", help="the model that it replaces (default: its own name)")
    parser.add_argument("--version", help="as which it is served (default: its own)")
    parser.add_argument(
        "--trust", action="append", default=[], metavar="DIGEST", help="a file that may run code when it is loaded"
    )
    parser.add_argument(
        "--force", action="store_true", help="even where it breaks what callers send, or its data is too old"
    )
    parser.add_argument("--json", action="store_true", help="print JSON for programs")


def run(args: Namespace) -> int:
    """Release it and print what was done.

    Raises:
        StartupError: there is no such path or server, or the server refuses the new version.
    """
    path = args.path.absolute()
    if not path.exists():
        raise ModelNotFound(f"{args.path}: there is no such file or folder")
    order = {
        "path": str(path),
        "name": args.name,
        "version": args.version,
        "trust": args.trust,
        "force": args.force,
    }
    with Progress(f"releasing {args.path} ..."):
        result = ask_admin(socket_of(args.to), "/release", order)
    if args.json:
        show_json(result)
    else:
        show((described(msgspec.json.decode(result, type=ReleaseResult)),))
    return 0
