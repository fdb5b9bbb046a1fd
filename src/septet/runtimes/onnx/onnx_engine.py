"""What Septet knows of ONNX files."""

from typing import Final

from septet.runtimes.engine import Engine

ONNX: Final = Engine(
    key="onnx",
    suffixes=(".onnx",),
    module="septet.runtimes.onnx.onnx_runtime",
    libraries=("onnxruntime",),
    may_run_code=False,
    forkable=True,
    has_side_files=True,
)
