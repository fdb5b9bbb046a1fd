"""One row by gRPC: Septet beside MLServer, PyTriton, and the least that grpc.aio can do."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import grpc
import numpy as np
from open_inference.grpc.protocol import ModelInferRequest, ModelInferResponse

from benchmarks import models
from benchmarks.bench import Bench, Fleet
from benchmarks.closed_loop import Sample
from benchmarks.forms import FORMS
from benchmarks.models import Array, BenchmarkModel
from benchmarks.process import CLIENT_CORE, Process, pinned
from benchmarks.report import BenchmarkReport, ReportTable, ratio, spread
from benchmarks.servers import SERVERS

METHOD = "/inference.GRPCInferenceService/ModelInfer"
CONTENDERS = ("septet-grpc", "mlserver", "pytriton", "bare-grpc")
BASELINE = "bare-grpc"
DATATYPES = {"FP32": np.float32, "INT64": np.int64}


Samples = dict[str, dict[int, list[Sample]]]  # server -> connections -> one for each round


def run(bench: Bench) -> BenchmarkReport:
    """Prove every answer with a client, then let the servers take turns."""
    model = models.iris(bench.cache)
    connections = (1, 16) if bench.quick else (1, 16, 64)
    message = message_of(bench, model)
    samples: Samples = {}
    with Fleet(bench, model) as fleet:
        for server in bench.wanted(list(CONTENDERS)):
            if _present(fleet, model, server):
                samples[server] = {count: [] for count in connections}
        for turn in range(bench.rounds):
            for count in connections:
                for server in list(samples) if turn % 2 else [*samples][::-1]:
                    with fleet.turn(server) as process:
                        samples[server][count].append(load_calls(process, message, count, bench.seconds))
    setting = {
        "model": "iris, one row a request, raw contents, both outputs",
        "servers": "one worker, one thread, one core; Septet serves REST in the same process",
        "load": f"h2load, one request at a time on each connection; {bench.rounds} rounds of {bench.seconds:g} s",
    }
    kept = {server: {str(c): [asdict(s) for s in taken] for c, taken in by.items()} for server, by in samples.items()}
    tables = [_table(samples, count) for count in connections]
    return BenchmarkReport("One row by gRPC", setting, tables, kept, fleet.absent)


def message_of(bench: Bench, model: BenchmarkModel) -> Path:
    """A request of one row, framed as gRPC does: not compressed, its length, the message."""
    message = bench.cache / "request.grpc"
    content = _request(model, 0).SerializeToString()
    message.write_bytes(b"\0" + len(content).to_bytes(4, "big") + content)
    return message


def _present(fleet: Fleet, model: BenchmarkModel, server: str) -> bool:
    """Start a server and compare its answers with the engine's; what fails is noted."""
    first = None if server == BASELINE else FORMS["v2"].body(model, model.rows[:1])
    if not fleet.add(server, first):
        return False
    try:
        with fleet.turn(server) as process:
            print(f"{SERVERS[server].title}: {_verify(process, model)} answers right", flush=True)
    except (grpc.RpcError, RuntimeError) as error:
        fleet.absent[server] = str(error)
        print(f"{server}: {error}", flush=True)
        return False
    return True


def _request(model: BenchmarkModel, row: int) -> ModelInferRequest:
    rows = model.rows[row : row + 1]
    tensor = ModelInferRequest.InferInputTensor(name="input", datatype="FP32", shape=rows.shape)
    return ModelInferRequest(model_name=model.name, inputs=[tensor], raw_input_contents=[rows.tobytes()])


def _verify(process: Process, model: BenchmarkModel, *, clients: int = 16) -> int:
    expected = model.answers()
    with grpc.insecure_channel(f"127.0.0.1:{process.grpc_port}") as channel:
        infer = channel.unary_unary(
            METHOD,
            request_serializer=ModelInferRequest.SerializeToString,
            response_deserializer=ModelInferResponse.FromString,
        )

        def wrong(row: int) -> str | None:
            found = _output(infer(_request(model, row), wait_for_ready=True, timeout=30), model.output)
            if found.shape == (1, expected.shape[1]) and np.allclose(found[0], expected[row], rtol=1e-4, atol=1e-5):
                return None
            return f"row {row}: {found.tolist()}, expected {expected[row].tolist()}"

        asked = [index % len(model.rows) for index in range(clients * 8)]
        with ThreadPoolExecutor(clients) as pool:
            failures = [failure for failure in pool.map(wrong, asked) if failure]
    if failures:
        raise RuntimeError(f"{len(failures)} of {len(asked)} answers are wrong; the first: {failures[0]}")
    return len(asked)


def _output(response: ModelInferResponse, name: str) -> Array:
    """An output, from raw contents or from typed ones."""
    at = next(index for index, each in enumerate(response.outputs) if each.name == name)
    output = response.outputs[at]
    if response.raw_output_contents:
        found: Array = np.frombuffer(response.raw_output_contents[at], DATATYPES[output.datatype])
    else:
        found = np.array(output.contents.fp32_contents or output.contents.fp64_contents)
    return found.reshape(tuple(output.shape))


def load_calls(process: Process, message: Path, connections: int, seconds: float) -> Sample:
    """Keep `connections` busy with calls of one message, one after the other on each."""
    log = message.with_suffix(".log")
    log.unlink(missing_ok=True)
    command = ["h2load", "-t1", f"-c{connections}", "-m1", "-D", str(max(1, round(seconds))), "--warm-up-time=1"]
    command += ["-d", str(message), "-H", "content-type: application/grpc", "-H", "te: trailers"]
    before = process.cpu_seconds()
    done = subprocess.run(
        pinned(str(CLIENT_CORE), [*command, f"--log-file={log}", f"http://127.0.0.1:{process.grpc_port}{METHOD}"]),
        check=True,
        capture_output=True,
        text=True,
    )
    spent = process.cpu_seconds() - before
    lines = np.loadtxt(log, dtype=np.int64, ndmin=2)
    if not lines.size:
        raise RuntimeError(f"h2load had no answer: {done.stdout[-300:]}")
    started, status, microseconds = lines.T
    window = float(started.max() - started.min()) / 1e6
    p50, p90, p99 = (float(each) / 1000 for each in np.percentile(microseconds, (50, 90, 99)))
    return Sample(
        requests_per_second=len(lines) / max(1e-9, window),
        p50=p50,
        p90=p90,
        p99=p99,
        requests=len(lines),
        errors=int((status != 200).sum()),
        # Of the warm-up too, which is as long as it is known to be.
        cpu=spent / max(1, len(lines) * (window + 1) / max(1e-9, window)) * 1e6,
    )


def _table(samples: Samples, count: int) -> ReportTable:
    base = [each.requests_per_second for each in samples.get(BASELINE, {}).get(count, [])]
    rows: list[tuple[str, ...]] = []
    for server, by in samples.items():
        taken = by[count]
        rates = [each.requests_per_second for each in taken]
        rows.append(
            (
                SERVERS[server].title,
                spread(rates, ",.0f"),
                ratio(rates, base),
                spread([each.p50 for each in taken], ".3f"),
                spread([each.p90 for each in taken], ".3f"),
                spread([each.p99 for each in taken], ".3f"),
                spread([each.cpu for each in taken], ",.0f"),
                str(sum(each.errors for each in taken)),
            )
        )
    heads = ("", "requests/s", "ratio to bare grpc.aio", "p50 ms", "p90 ms", "p99 ms", "CPU us a request", "errors")
    return ReportTable(f"{count} connection{'s' if count > 1 else ''}", heads, rows)
