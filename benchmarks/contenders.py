"""Who is measured: servers, each with an environment of its own, and the bodies sent to them."""

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.model import ROWS

ROOT = Path(__file__).parent.parent
RIVALS = ROOT / "benchmarks" / "rivals"
ENGINE = ["numpy", "onnxruntime"]
FASTAPI = ["fastapi", "uvicorn[standard]", *ENGINE]
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
class Server:
    """One server: how it is installed and started, `{port}` and `{model}` to be filled in."""

    name: str
    command: list[str]
    requirements: list[str] = field(default_factory=list)
    computes: bool = True


@dataclass(frozen=True)
class Contender:
    """One line of the table: a server and the form of the body sent to it."""

    name: str
    server: str
    form: str


FASTAPI_COMMAND = [
    "-m",
    "uvicorn",
    "--port",
    "{port}",
    "--log-level",
    "warning",
    "--no-access-log",
    "--app-dir",
    str(RIVALS),
]
SERVERS = {
    "septet": Server("septet", ["-m", "septet", "serve", "{model}", "--port", "{port}"], [str(ROOT)]),
    "fastapi-def": Server("fastapi-def", [*FASTAPI_COMMAND, "fastapi_def:app"], FASTAPI),
    "fastapi-async": Server("fastapi-async", [*FASTAPI_COMMAND, "fastapi_async:app"], FASTAPI),
    "bare": Server("bare", [str(RIVALS / "bare_protocol.py"), "{port}"], ["httptools", "uvloop", "msgspec", *ENGINE]),
    "nginx": Server("nginx", ["nginx", "-c", "{folder}/nginx.conf"], computes=False),
}
CONTENDERS = [
    Contender("Septet, `data`", "septet", "data"),
    Contender("Septet, `records`", "septet", "records"),
    Contender("FastAPI by hand, `def`", "fastapi-def", "data"),
    Contender("FastAPI by hand, `async def`", "fastapi-async", "data"),
    Contender("bare protocol (no checks)", "bare", "data"),
    Contender("nginx, constant answer", "nginx", "data"),
]
BASELINE = "FastAPI by hand, `def`"


def body(form: str, columns: list[str], row: int) -> bytes:
    """One row of the model's data in one form."""
    values = [round(float(value), 4) for value in ROWS[row]]
    if form == "records":
        return json.dumps({"records": [dict(zip(columns, values, strict=True))]}).encode()
    return json.dumps({"data": [values]}).encode()


def command(server: Server, python: Path, places: dict[str, str]) -> list[str]:
    """The command line that starts it."""
    words = [word.format(**places) for word in server.command]
    return words if server.name == "nginx" else [str(python), *words]


def environment(server: Server, cache: Path) -> Path:
    """Install what a server needs into an environment of its own, unless that is there; return its Python."""
    if not server.requirements:
        return Path(sys.executable)
    constraints = ROOT / "constraints.txt"
    wanted = hashlib.sha256("\n".join([*server.requirements, constraints.read_text()]).encode()).hexdigest()
    place = cache / "environments" / hashlib.sha256("\n".join(server.requirements).encode()).hexdigest()[:12]
    python, stamp = place / "bin" / "python", place / "stamp"
    pip = [str(python), "-m", "pip", "-qq", "--disable-pip-version-check", "install", "-c", str(constraints)]
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing {server.name} ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        subprocess.run([*pip, *server.requirements], check=True)
        stamp.write_text(wanted)
    elif server.name == "septet":
        subprocess.run([*pip, "--force-reinstall", "--no-deps", str(ROOT)], check=True)
    return python


def versions(python: Path) -> dict[str, str]:
    """What is installed beside a server."""
    listing = subprocess.run([str(python), "-m", "pip", "list", "--format", "json"], check=True, capture_output=True)
    return {each["name"].lower(): each["version"] for each in json.loads(listing.stdout)}
