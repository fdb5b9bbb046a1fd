"""Serve the example model iris, ask it for a prediction as any client would, and keep it running until Ctrl+C."""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

MODEL = Path("examples/iris")
FLOWERS = {"data": [[5.1, 3.5, 1.4, 0.2], [6.7, 3.1, 4.4, 1.4], [6.3, 3.3, 6.0, 2.5]]}
START_SECONDS = 60


def free_port(wanted: int) -> int:
    """The wanted port if nobody listens there, else a free one."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    message = "no free port"
    raise SystemExit(message)


def wait_until_ready(server: subprocess.Popen[bytes], url: str) -> None:
    """Return once the server says that it is ready; end with its own message where it does not start."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/health/ready", timeout=5):  # noqa: S310 - the address is our own
                return
        except (urllib.error.URLError, OSError):
            pass
        try:
            raise SystemExit(server.wait(0.02))
        except subprocess.TimeoutExpired:
            continue
    message = f"the server was not ready within {START_SECONDS} s"
    raise SystemExit(message)


def show(url: str, path: str) -> None:
    """Ask for the prediction of three flowers, and print the request as a command and the answer."""
    body = json.dumps(FLOWERS)
    print(f"\n$ curl {url}{path} -H 'content-type: application/json' -d '{body}'")
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{url}{path}", body.encode(), headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        print(answer.read().decode(), flush=True)


def main() -> None:
    """Serve, ask, and keep serving unless `--once` is given."""
    port = free_port(8000)
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "septet", "serve", str(MODEL), "--port", str(port)]
    print(f"$ septet serve {MODEL} --port {port}", flush=True)
    server = subprocess.Popen(command)
    try:
        wait_until_ready(server, url)
        show(url, "/predict")
        show(url, "/predict/label")
        if "--once" not in sys.argv[1:]:
            print(f"\nStill serving; {url}/docs tries it in a browser. Ctrl+C stops.", flush=True)
            sys.exit(server.wait())
    except KeyboardInterrupt:
        pass  # the terminal has sent the server the same signal
    finally:
        if server.poll() is None:
            server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
