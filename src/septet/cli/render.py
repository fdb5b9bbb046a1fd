"""`septet render`: a configuration for a balancer in front of several servers."""

from argparse import Namespace
from pathlib import Path

from septet.balancers.balanced_service import BalancedService, checked, replica_of
from septet.balancers.haproxy import haproxy_configuration
from septet.balancers.nginx import nginx_configuration
from septet.cli.flags import add_settings, settings
from septet.cli.parser import Parser
from septet.cli.terminal import show
from septet.errors import SettingsInvalid

ARGUMENTS = "nginx|haproxy --replica HOST:PORT ..."
DESCRIPTION = """\
Write the configuration of a balancer in front of several servers of the same model, over HTTP and gRPC. Limits and
times are those of the servers, so give the same settings as to `septet serve`. A request that a replica does not answer
is asked of another: a prediction changes nothing. For nginx it is a file for the `http` block (conf.d/NAME.conf), for
HAProxy a whole one."""
EXAMPLE = """\
examples:
  septet render nginx --replica 10.0.0.1:8000 --replica 10.0.0.2:8000 > /etc/nginx/conf.d/iris.conf
  septet render haproxy --replica 10.0.0.1:8000 --grpc-replica 10.0.0.1:8001 --listen 8080 --output haproxy.cfg
  septet render nginx --replica 10.0.0.1:8000 --listen 443 --certificate /etc/ssl/iris.pem --key /etc/ssl/iris.key"""

_WRITERS = {"nginx": nginx_configuration, "haproxy": haproxy_configuration}


def configure(parser: Parser) -> None:
    """Add the command's arguments."""
    parser.add_argument("balancer", choices=sorted(_WRITERS), help="what to write the configuration for")
    parser.add_argument(
        "--replica",
        action="append",
        default=[],
        metavar="HOST:PORT",
        help="where a server answers HTTP, unix:PATH for a Unix socket; repeatable",
    )
    parser.add_argument(
        "--grpc-replica", action="append", default=[], metavar="HOST:PORT", help="where it answers gRPC; repeatable"
    )
    parser.add_argument("--service", default="septet", metavar="NAME", help="names the parts of it (default: septet)")
    parser.add_argument("--listen", type=int, default=80, metavar="PORT", help="answer HTTP there (default: 80)")
    parser.add_argument(
        "--grpc-listen", type=int, default=8001, metavar="PORT", help="answer gRPC there (default: 8001)"
    )
    parser.add_argument("--certificate", metavar="FILE", help="PEM file to answer with TLS; for HAProxy with the key")
    parser.add_argument("--key", metavar="FILE", help="PEM file with the certificate's key, for nginx")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write to this file (default: standard output)")
    add_settings(parser, ("limits", "server.root_path", "logs.level"))


def run(args: Namespace) -> int:
    """Write it.

    Raises:
        SettingsInvalid: no replica is given, or something cannot be used.
    """
    if args.balancer == "nginx" and (args.certificate is None) != (args.key is None):
        raise SettingsInvalid("nginx needs --certificate and --key together")
    resolved = settings(args)
    service = BalancedService(
        name=args.service,
        replicas=tuple(map(replica_of, args.replica)),
        grpc_replicas=tuple(map(replica_of, args.grpc_replica)),
        listen=args.listen,
        grpc_listen=args.grpc_listen,
        prefix=resolved.server.root_path,
        certificate=args.certificate,
        key=args.key,
        limits=resolved.limits,
    )
    text = _WRITERS[args.balancer](checked(service))
    if args.output is None:
        show(text.removesuffix("\n").split("\n"))
    else:
        args.output.write_text(text, encoding="utf-8")
    return 0
