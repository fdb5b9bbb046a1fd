"""docs/client.md does what it says, in the order in which it says it."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.client.servers import GrpcServerProcess
from tests.e2e.process import IRIS, ROOT

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN = re.compile(r'^(\S.*?)  # (\[".*"\]|True)$')


def test_the_examples_of_the_document_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "client.md").read_text()
    checked = 0
    with GrpcServerProcess(IRIS, tmp_path, "--jobs", f"sqlite:///{tmp_path}/jobs.db") as server:
        text = text.replace("localhost:8000", f"127.0.0.1:{server.port}")
        text = text.replace("localhost:8001", f"127.0.0.1:{server.grpc_port}")
        known: dict[str, Any] = {}
        for block in BLOCK.findall(text):
            exec(block, known)
            for line in block.splitlines():
                shown = SHOWN.match(line)
                if shown is not None:
                    expression = shown[1].partition(" = ")[2] or shown[1]
                    assert eval(expression, known) == eval(shown[2]), line
                    checked += 1
        known["client"].close()
    assert checked == 6
    assert capsys.readouterr().out.startswith('0 petal length (cm) a finite number (float32) "long"')
