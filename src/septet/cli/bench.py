"""`septet bench`: how fast a model is served, and up to which rate within objectives."""

import math
import shlex
import signal
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from septet.bench.campaign import Outcome, find_rate, run_all
from septet.bench.generators import Generators
from septet.bench.load import Load
from septet.bench.load_measurement import Measurement, measured
from septet.bench.machine import machine, usable_cores
from septet.bench.objective import Objective, objectives
from septet.bench.report import Report
from septet.bench.requests import PROTOCOLS
from septet.bench.sizing import Sizing, sizing
from septet.cli.bench_output import BenchProgress, show_report
from septet.cli.bench_plan import planned
from septet.cli.parser import Parser
from septet.cli.progress import Progress
from septet.cli.server_process import ServerProcess
from septet.errors import Invalid
from septet.tables.table_formats import TABLE_FORMATS

ARGUMENTS = "TARGET"
DESCRIPTION = """\
Measure how a model is served: TARGET is a model file or package, which is then served by a child process on a free
port, or the URL of a running server. Without --rate, each connection sends its next request when it has the answer to
the last (closed loop: what can it do?). With --rate, requests are due at that rate whatever the server does, and times
count from when they were due (open loop: what will callers see?). SEPTET_API_KEY has the key for a server that asks for
one.
Exit code 0 if all objectives are met, 1 if not, 2 if it cannot be measured."""
EXAMPLE = """\
examples:
  septet bench iris.onnx
  septet bench iris/ --rate 2000 --slo 'p99<20ms, errors<0.1%'
  septet bench iris/ --find-rate --slo 'p99<20ms' --for-rate 50000
  septet bench http://127.0.0.1:8000 --rates 500,1000,2000 --chart rates.svg --json report.json
  septet bench iris/ --data rows.csv --rows-per-request 10 --serve-options '--workers 2'
  septet bench http://127.0.0.1:9000 --body request.json --path /score"""

SHARED = "server and load generator may share cores; figures of a busy machine say little"
CLOSED_CONNECTIONS, OPEN_CONNECTIONS = 16, 128
MOST_REQUESTS = 5_000_000  # each takes memory
MOST_RATES = 1_000


def configure(parser: Parser) -> None:
    """Add the command's arguments."""
    parser.add_argument("target", metavar="TARGET", help="a model file, a package folder, or http://HOST:PORT[/PREFIX]")
    _configure_load(parser)
    _configure_requests(parser)
    demands = parser.add_argument_group("demands")
    add = demands.add_argument
    add("--slo", action="append", default=[], metavar="LIMIT", help="such as 'p99<20ms'; repeatable, or with commas")
    add("--find-rate", action="store_true", help="search for the highest rate within --slo; --rate is where to start")
    add("--for-rate", type=float, metavar="RATE", help="say how many such servers would answer RATE requests/s")
    server = parser.add_argument_group("server")
    add = server.add_argument
    add(
        "--serve-options",
        default="",
        metavar="TEXT",
        help="more flags for septet serve, such as '--workers 2' (a single word after =)",
    )
    add("--no-pin", action="store_true", help="let server and load generator share their cores")
    add("--insecure", action="store_true", help="accept any certificate of an https server")
    add("--ca", metavar="FILE", help="certificates to trust, for an https server")
    add("--client-certificate", metavar="FILE", help="PEM file with the certificate to present to an https server")
    add("--client-key", metavar="FILE", help="its key (default: in the certificate's file)")
    output = parser.add_argument_group("output")
    output.add_argument("--json", metavar="FILE", help="write a report for programs; - for standard output")
    output.add_argument("--chart", metavar="FILE", help="draw the times, as .svg or .html")


def _configure_load(parser: Parser) -> None:
    add = parser.add_argument_group("load").add_argument
    add(
        "--connections",
        type=int,
        metavar="N",
        help=f"open connections, one request on each at a time (default {CLOSED_CONNECTIONS}; with a rate, "
        f"{OPEN_CONNECTIONS})",
    )
    add("--rate", type=float, metavar="RATE", help="requests per second that are due (default: a closed loop)")
    add("--rates", metavar="A,B,...", help="several rates, one after another")
    add("--ramp", metavar="FROM:TO:STEP", help="rates from FROM to TO")
    add("--arrivals", choices=("constant", "poisson"), default="constant", help="how requests are due (default even)")
    add("--duration", type=float, default=10.0, metavar="SECONDS", help="time to measure each load (default 10)")
    add("--warmup", type=float, default=2.0, metavar="SECONDS", help="time before it that does not count (default 2)")
    add("--timeout", type=float, default=10.0, metavar="SECONDS", help="time to wait for an answer (default 10)")
    add("--processes", type=int, default=1, metavar="N", help="processes of the load generator (default 1)")


def _configure_requests(parser: Parser) -> None:
    add = parser.add_argument_group("requests").add_argument
    add("--protocol", choices=PROTOCOLS, default="data", help="form of the requests (default data)")
    add("--data", metavar="FILE", help="rows as for septet predict (default: the golden rows, else the sample)")
    add("--data-format", choices=TABLE_FORMATS, help="what the data is, where its name does not say")
    add("--rows-per-request", type=int, default=1, metavar="N", help="rows in each request (default 1)")
    add("--verify", action="store_true", help="compare every answer with the model's own for its golden or sample row")
    add("--body", metavar="FILE", help="send this body, to any server; empty for none")
    add("--path", metavar="PATH", help="where to send it")
    add("--method", help="of such requests (default POST with a body, else GET)")
    add("--content-type", default="application/json", metavar="TYPE", help="of such a body (default application/json)")
    add("--header", action="append", default=[], metavar="'NAME: VALUE'", help="another header; repeatable")


def run(args: Namespace) -> int:
    """Measure, report, and say by the exit code whether the objectives are met.

    Raises:
        Invalid: the arguments do not fit together or the target.
        StartupError: the model cannot be served.
        Unavailable: the server does not answer.
    """
    wanted = objectives(args.slo)
    loads = _loads(args)
    _check(args, wanted)
    server_cores, generator_cores = _cores(args)
    with _ended_in_order(), _served(args, server_cores) as url:
        plan, server = planned(args, url)
        with Generators(plan, args.processes, generator_cores) as generators:
            outcome = _outcome(args, generators, loads, wanted)
    report = Report(
        server=server,
        machine=machine(),
        plan=plan,
        processes=args.processes,
        outcome=outcome,
        wanted=wanted,
        suggestion=_sizing(args, outcome),
        notes=() if server_cores else (SHARED,),
    )
    show_report(report, json_file=args.json, chart_file=args.chart)
    return 0 if report.ok else 1


def _check(args: Namespace, wanted: Sequence[Objective]) -> None:
    if args.find_rate and not wanted:
        raise Invalid("--find-rate needs an objective to keep within: give --slo, such as --slo 'p99<20ms'.")
    if args.find_rate and (args.rates or args.ramp):
        raise Invalid("--find-rate chooses the rates itself: give it without --rates and --ramp.")
    if args.for_rate is not None and not args.find_rate and (args.rate or args.rates or args.ramp):
        raise Invalid("--for-rate needs to know what the server can do: give --find-rate, or no rate.")
    if args.serve_options and _is_url(args.target):
        raise Invalid("--serve-options are for a model that is served here; TARGET is a server that runs already.")
    if (args.body is None) != (args.path is None):
        raise Invalid("--body and --path belong together: what to send, and where.")
    if args.for_rate is not None and not 0 < args.for_rate < math.inf:
        raise Invalid("--for-rate must be above 0.")
    for file in (args.json, args.chart):
        if file not in (None, "-") and not Path(file).parent.is_dir():
            raise Invalid(f"{file}: cannot be written: there is no folder {Path(file).parent}")
    if args.verify and (args.body or args.data or args.protocol.startswith("v2")):
        raise Invalid("--verify compares the model's own rows, with --protocol data or records.")


def _loads(args: Namespace) -> list[Load]:
    """The loads of a command line; of a search, the one to begin with."""
    if not (0 < args.duration < math.inf and 0 <= args.warmup < math.inf and 0 < args.timeout < math.inf):
        raise Invalid("--duration and --timeout must be above 0, and --warmup at least 0.")
    rates = _rates(args)
    if max(rate or 0 for rate in rates) * (args.duration + args.warmup) > MOST_REQUESTS:
        raise Invalid(f"At most {MOST_REQUESTS:,} requests can be due in one load: lower the rate or the --duration.")
    default = CLOSED_CONNECTIONS if rates == [None] and not args.find_rate else OPEN_CONNECTIONS
    connections = default if args.connections is None else args.connections
    if not 1 <= args.processes <= connections or args.rows_per_request < 1:
        raise Invalid("--processes must be from 1 to the number of --connections, and --rows-per-request at least 1.")
    return [
        Load(
            connections=connections,
            seconds=args.duration,
            rate=rate,
            warmup=args.warmup,
            timeout=args.timeout,
            arrivals=args.arrivals,
        )
        for rate in rates
    ]


def _rates(args: Namespace) -> list[float | None]:
    if sum(given is not None for given in (args.rate, args.rates, args.ramp)) > 1:
        raise Invalid("--rate, --rates and --ramp exclude each other.")
    try:
        if args.ramp is not None:
            first, last, step = (float(each) for each in args.ramp.split(":"))
            count = int((last - first) / step + 1e-9) + 1
            if count > MOST_RATES:
                raise Invalid(f"--ramp has {count:,} rates, and at most {MOST_RATES:,} can be measured: raise STEP.")
            rates = [first + step * at for at in range(count)]
        elif args.rates is not None:
            rates = [float(each) for each in args.rates.split(",")]
        else:
            rates = [] if args.rate is None else [args.rate]
    except (ValueError, ArithmeticError):
        raise Invalid("--rates takes numbers apart by commas, --ramp takes FROM:TO:STEP.") from None
    if not all(rate > 0 and math.isfinite(rate) for rate in rates) or (args.ramp is not None and not rates):
        raise Invalid("A rate must be above 0; --ramp must go up.")
    return [*rates] or [None]


def _is_url(target: str) -> bool:
    return target.startswith(("http://", "https://"))


def _cores(args: Namespace) -> tuple[Sequence[int], Sequence[int]]:
    """The cores for a server of our own and those for the generator; empty where they cannot be kept apart."""
    cores = usable_cores()
    if args.no_pin or _is_url(args.target) or len(cores) <= args.processes:
        return (), ()
    return cores[: -args.processes], cores[-args.processes :]


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Let SIGTERM unwind as Ctrl+C does, or server and generators would outlive this command."""
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _served(args: Namespace, cores: Sequence[int]) -> Iterator[str]:
    if _is_url(args.target):
        yield args.target
        return
    progress = Progress(f"starting a server of {args.target} ...")
    child = ServerProcess(Path(args.target), _serve_options(args), cores)
    with progress, child:
        progress.done()
        yield child.url


def _serve_options(args: Namespace) -> list[str]:
    try:
        return shlex.split(args.serve_options)
    except ValueError as exc:
        raise Invalid(f"--serve-options {args.serve_options!r}: {exc}") from exc


def _outcome(args: Namespace, generators: Generators, loads: Sequence[Load], wanted: Sequence[Objective]) -> Outcome:
    def measure(load: Load) -> Measurement:
        with BenchProgress(load) as watch:
            return measured(load, generators.measure(load, watch.step))

    return find_rate(loads[0], measure, wanted) if args.find_rate else run_all(loads, measure, wanted)


def _sizing(args: Namespace, outcome: Outcome) -> Sizing | None:
    if args.for_rate is None:
        return None
    if outcome.verdict is not None:
        return sizing(args.for_rate, outcome.verdict.rate or 0.0)
    return sizing(args.for_rate, outcome.measurements[0].throughput)
