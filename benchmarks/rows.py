"""A thousand rows a request, in every form: the codec alone, and the whole server beside FastAPI with Pydantic."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import costs, models
from benchmarks.bench import Bench, Fleet
from benchmarks.closed_loop import Sample, load, verify
from benchmarks.conversions import CONVERSIONS
from benchmarks.forms import FORMS, FormBody
from benchmarks.models import BenchmarkModel
from benchmarks.report import BenchmarkReport, ReportTable, ratio, spread
from benchmarks.servers import SERVERS
from septet.assembly.composition import open_service
from septet.protocols.http.http_messages import HttpRequest, context_of
from septet.protocols.http.request_factory import RequestFactory
from septet.protocols.http.routes import Decode
from septet.protocols.native.native_routes import NativeRoutes
from septet.protocols.openinference.infer_request import InferRequestReader
from septet.registry import ServedModel
from septet.settings import Settings
from septet.tensors import plain
from septet.types import Response, Timings

ROWS = 1000
CONNECTIONS = 4
CODED = ("data", "records", "v2", "v2-binary", "csv")
RIVAL = "fastapi-records"


@dataclass(frozen=True)
class RowsContender:
    """A server and the form of the requests to it."""

    server: str
    form: str

    @property
    def name(self) -> str:
        """As tables show it."""
        title = SERVERS[self.server].title
        return f"{title}, {FORMS[self.form].title}" if self.server == "septet" else title


CONTENDERS = [*(RowsContender("septet", form) for form in CODED), RowsContender(RIVAL, "records")]


def run(bench: Bench) -> BenchmarkReport:
    """First the servers, then the codecs in this process, round by round."""
    model = models.BenchmarkModel(models.mlp(bench.cache).path, models.generated(2 * ROWS), "probabilities")
    bodies = {form: FORMS[form].body(model, model.rows[:ROWS]) for form in CODED}
    samples, absent = _serve(bench, model, bodies)
    codecs = _codecs(bench, model, bodies)
    setting = {
        "model": f"an MLP, {models.FEATURES} columns, float32; {ROWS:,} rows a request",
        "bodies": ", ".join(f"{FORMS[form].title} {len(body.content):,} bytes" for form, body in bodies.items()),
        "codec": "CPU time to decode the request and encode the answer, in this process, without the model: Septet's "
        "with all its checks, against msgspec and numpy that do the conversion and check nothing",
        "load": f"wrk, {CONNECTIONS} connections, {bench.rounds} rounds of {bench.seconds:g} s",
    }
    tables = [_codec_table(codecs), _server_table(samples)]
    return BenchmarkReport("A thousand rows a request", setting, tables, {"codecs": codecs, "servers": samples}, absent)


def _serve(
    bench: Bench, model: BenchmarkModel, bodies: dict[str, FormBody]
) -> tuple[dict[str, list[Sample]], dict[str, str]]:
    samples: dict[str, list[Sample]] = {}
    expected = model.answers()
    with Fleet(bench, model) as fleet:
        present = []
        for each in CONTENDERS:
            if not fleet.add(each.server, bodies[each.form]):
                continue
            with fleet.turn(each.server) as process:
                proven = verify(process, FORMS[each.form], model, expected, rows=ROWS, clients=2)
                print(f"{each.name}: {proven} answers right", flush=True)
                load(process, bodies[each.form], bench.cache, connections=CONNECTIONS, seconds=1)
            present.append(each)
            samples[each.name] = []
        for turn in range(bench.rounds):
            for each in present if turn % 2 else present[::-1]:
                with fleet.turn(each.server) as process:
                    sample = load(
                        process, bodies[each.form], bench.cache, connections=CONNECTIONS, seconds=bench.seconds
                    )
                samples[each.name].append(sample)
        return samples, fleet.absent


def _codecs(bench: Bench, model: BenchmarkModel, bodies: dict[str, FormBody]) -> dict[str, dict[str, list[float]]]:
    """CPU milliseconds by form, of Septet's codec (`septet`) and of the conversion alone (`conversion`)."""
    found: dict[str, dict[str, list[float]]] = {form: {"septet": [], "conversion": []} for form in CODED}
    service = open_service(model.path, Settings())
    request_factory = RequestFactory(ServedModel(service), Settings().limits)
    native, inference = NativeRoutes(request_factory).predict, InferRequestReader(request_factory).infer
    label, scores = model.session().run(None, {"input": model.rows[:ROWS]})
    response = Response({"label": label, "probabilities": scores}, ROWS, service.identity, Timings(0.0, 0.0, ROWS))
    steps = {
        form: {
            "septet": _whole(inference if form.startswith("v2") else native, body, response),
            "conversion": CONVERSIONS[form](body, label, scores),
        }
        for form, body in bodies.items()
    }
    for _ in range(bench.rounds):
        for form, pair in steps.items():
            for name, step in pair.items():
                found[form][name].append(costs.cpu_seconds(step, seconds=bench.seconds / 3) * 1000)
    return found


def _whole(route: Decode, body: FormBody, response: Response) -> Callable[[], object]:
    """Septet's own two halves: the request is decoded, and the answer to it encoded."""
    headers = {name.encode(): value.encode() for name, value in body.headers.items()}
    # What a head says is known to the transport from the second request of a connection on.
    http = HttpRequest("POST", body.path, b"", headers, body.content, known_context=context_of(headers))

    def step() -> object:
        _, request, encode = route(http)
        plain(request.tensors)  # else the engine would make the arrays
        return encode(request, response)

    return step


def _codec_table(codecs: dict[str, dict[str, list[float]]]) -> ReportTable:
    rows: list[tuple[str, ...]] = [
        (
            FORMS[form].title,
            spread(pair["septet"], ".3f"),
            spread(pair["conversion"], ".3f"),
            ratio(pair["septet"], pair["conversion"]),
        )
        for form, pair in codecs.items()
    ]
    return ReportTable("The codec alone", ("", "Septet, ms", "the conversion alone, ms", "ratio"), rows)


def _server_table(samples: dict[str, list[Sample]]) -> ReportTable:
    base = [each.requests_per_second for each in samples.get(SERVERS[RIVAL].title, [])]
    rows: list[tuple[str, ...]] = []
    for name, taken in samples.items():
        rates = [each.requests_per_second for each in taken]
        rows.append(
            (
                name,
                spread(rates, ",.1f"),
                spread([rate * ROWS for rate in rates], ",.0f"),
                ratio(rates, base),
                spread([each.p50 for each in taken], ".2f"),
                spread([each.p99 for each in taken], ".2f"),
                spread([each.cpu / 1000 for each in taken], ".2f"),
                str(sum(each.errors for each in taken)),
            )
        )
    heads = ("", "requests/s", "rows/s", "ratio to FastAPI", "p50 ms", "p99 ms", "CPU ms a request", "errors")
    return ReportTable("The servers", heads, rows)
