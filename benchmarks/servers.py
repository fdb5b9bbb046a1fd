"""Every server there is to measure: its environment, its command line and its settings."""

from dataclasses import dataclass, field

from benchmarks.environments import ROOT

RIVALS = ROOT / "benchmarks" / "rivals"
NGINX = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/nginx-body;
  keepalive_requests 1000000000;
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location / {{ default_type application/json; return 200 '{answer}'; }}
  }}
}}
"""


@dataclass(frozen=True)
class BenchmarkServer:
    """One server. In its command and variables `{port}`, `{grpc_port}`, `{third_port}`, `{model}`,
    `{folder}`, `{bin}` and `{libraries}` are filled in.

    Attributes:
        title: as tables show it.
        environment: whose Python it runs with; empty for a program of the system.
        command: after the Python; the whole of it where there is none.
        variables: of its process, beside `MODEL`, the file that is served.
        before: a command of the same Python that prepares what is served, run before the first start.
        restless: works while nobody asks, or takes a pause for the end of one of its processes; so it is started for
            its turns only, where others are paused between them.
        patience: seconds that a start may take.
    """

    title: str
    environment: str
    command: tuple[str, ...]
    variables: dict[str, str] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    restless: bool = False
    patience: float = 60.0


def septet(title: str, *flags: str, grpc: bool = False) -> BenchmarkServer:
    """`septet serve`, installed from this source with its core dependencies only, or with those of gRPC too."""
    ports = ("--port", "{port}", *(("--grpc-port", "{grpc_port}") if grpc else ()))
    return BenchmarkServer(
        title, "septet-grpc" if grpc else "septet", ("-m", "septet", "serve", "{model}", *ports, *flags), patience=90
    )


def before(title: str, *flags: str, grpc: bool = False) -> BenchmarkServer:
    """The same from the earlier commit that `--before` names."""
    here = septet(title, *flags, grpc=grpc)
    return BenchmarkServer(here.title, f"{here.environment}-before", here.command, patience=here.patience)


def fastapi(title: str, module: str) -> BenchmarkServer:
    """An application under uvicorn with httptools and uvloop."""
    flags = ("--port", "{port}", "--log-level", "warning", "--no-access-log", "--app-dir", str(RIVALS))
    return BenchmarkServer(title, "fastapi", ("-m", "uvicorn", *flags, f"{module}:app"))


def bare(title: str, mode: str) -> BenchmarkServer:
    """The bare protocol; its modes stand in its file."""
    variables = {"MODE": mode, "CONSTANT": "{folder}/constant.body"}
    return BenchmarkServer(title, "bare", (str(RIVALS / "bare_protocol.py"), "{port}"), variables)


_MLSERVER = {
    "MLSERVER_HOST": "127.0.0.1",
    "MLSERVER_HTTP_PORT": "{port}",
    "MLSERVER_GRPC_PORT": "{grpc_port}",
    "MLSERVER_METRICS_PORT": "{third_port}",
    "MLSERVER_PARALLEL_WORKERS": "0",
    "MLSERVER_DEBUG": "false",
    "PYTHONPATH": f"{RIVALS}:{RIVALS / 'mlserver'}",
}

SERVERS = {
    "septet": septet("Septet"),
    "septet-grpc": septet("Septet", grpc=True),
    "septet-unbatched": septet("Septet, batching off", "--max-batch-rows", "1"),
    "septet-impatient": septet("Septet, 300 ms to answer", "--timeout-seconds", "0.3"),
    "septet-before": before("Septet before"),
    "septet-grpc-before": before("Septet before", grpc=True),
    "septet-impatient-before": before("Septet before, 300 ms to answer", "--timeout-seconds", "0.3"),
    "septet-both": septet("Septet, two models", "{folder}/trees.onnx"),
    "septet-2": septet("Septet, 2 workers", "--workers", "2"),
    "septet-4": septet("Septet, 4 workers", "--workers", "4"),
    "septet-large": septet("Septet, one thread", "--threads", "1"),
    "septet-large-4": septet("Septet, 4 workers of one thread", "--workers", "4", "--threads", "1"),
    "fastapi-def": fastapi("FastAPI by hand, `def`", "fastapi_def"),
    "fastapi-async": fastapi("FastAPI by hand, `async def`", "fastapi_async"),
    "fastapi-records": fastapi("FastAPI and Pydantic, `records`", "fastapi_records"),
    "fastapi-columns": fastapi("FastAPI and Pydantic, `records`", "fastapi_columns"),
    "bare": bare("bare protocol (no checks)", "predict"),
    "bare-constant": bare("bare protocol, constant answer", "constant"),
    "bare-echo": bare("bare protocol, the same bytes back", "echo"),
    "bare-grpc": BenchmarkServer("bare grpc.aio (no checks)", "bare", (str(RIVALS / "bare_grpc.py"), "{grpc_port}")),
    "nginx": BenchmarkServer("nginx, constant answer", "", ("nginx", "-c", "{folder}/nginx.conf")),
    "mosec": BenchmarkServer(
        "Mosec",
        "mosec",
        (str(RIVALS / "mosec_server.py"), "--address", "127.0.0.1", "--port", "{port}", "--log-level", "warning"),
    ),
    "mosec-batch": BenchmarkServer(
        "Mosec, batches of 64",
        "mosec",
        (str(RIVALS / "mosec_server.py"), "--address", "127.0.0.1", "--port", "{port}", "--log-level", "warning"),
        {"BATCH": "64"},
        restless=True,
    ),
    "litserve": BenchmarkServer("LitServe", "litserve", (str(RIVALS / "litserve_server.py"), "{port}")),
    "litserve-batch": BenchmarkServer(
        "LitServe, batches of 64", "litserve", (str(RIVALS / "litserve_server.py"), "{port}"), {"BATCH": "64"}
    ),
    "mlserver": BenchmarkServer(
        "MLServer, in-process",
        "mlserver",
        ("{bin}/mlserver", "start", str(RIVALS / "mlserver")),
        _MLSERVER,
    ),
    "bentoml": BenchmarkServer(
        "BentoML",
        "bentoml",
        ("-m", "bentoml", "serve", "--working-dir", str(RIVALS), "--port", "{port}", "bento_service:Iris"),
        {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOST": "127.0.0.1", "BENTOML_HOME": "{folder}/bentoml"},
    ),
    "mlflow": BenchmarkServer(
        "MLflow models serve",
        "mlflow",
        (
            *("-m", "mlflow", "models", "serve", "--model-uri", "{folder}/mlflow", "--env-manager", "local"),
            *("--workers", "1", "--host", "127.0.0.1", "--port", "{port}"),
        ),
        {"MLFLOW_DISABLE_TELEMETRY": "true"},
        before=(str(RIVALS / "mlflow_save.py"), "{folder}/mlflow"),
        patience=120,
    ),
    "pytriton": BenchmarkServer(
        "PyTriton",
        "pytriton",
        (str(RIVALS / "pytriton_server.py"), "{port}", "{grpc_port}", "{third_port}"),
        # Triton's own process must find the libpython of this very Python before that of the system.
        {"LD_LIBRARY_PATH": "{libraries}"},
        restless=True,
        patience=120,
    ),
    "ray": BenchmarkServer(
        "Ray Serve",
        "ray",
        (str(RIVALS / "ray_serve.py"), "{port}"),
        {"RAY_USAGE_STATS_ENABLED": "0"},
        restless=True,
        patience=180,
    ),
}
