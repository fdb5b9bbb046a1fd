"""Runs ONNX models with onnxruntime on the CPU.

Outputs that are sequences of maps (ZipMap, as converters write by default) appear as one float tensor of
[rows, classes] under the same name: the node is replaced when the file is loaded, so that no map is ever made.
"""

import logging
import mmap
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from septet.errors import DamagedModel, ModelNotFound, UnsupportedModel
from septet.model.signature import Signature
from septet.runtimes.base import Independence, InputRejected, LoadOptions
from septet.runtimes.onnx import onnx_graph, onnx_signature, onnx_zipmaps
from septet.runtimes.onnx.onnx_external import ExternalData, check_places, external_data
from septet.runtimes.onnx.onnx_faults import explained, rejection
from septet.runtimes.onnx.onnx_graph import Graph
from septet.runtimes.onnx.onnx_independence import declared_rows, independence
from septet.runtimes.onnx.onnx_rows import row_dependence
from septet.runtimes.onnx.onnx_run_length import open_ended
from septet.runtimes.onnx.onnx_shapes import RowLayout, Shapes, arranged, settle
from septet.runtimes.onnx.onnx_texts import read_texts, refuse_missing
from septet.runtimes.run_control import RUN_CONTROL, RunControl, RunStopped
from septet.types import Array, Tensors

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_log = logging.getLogger(__name__)
_DESCRIPTORS = Path("/proc/self/fd")  # Linux


class OnnxRuntime:
    """An ONNX model in an onnxruntime session.

    Attributes:
        signature: read from the file.
        independence: proven from the graph.
        open_ended: found in the graph.
        texts: the inputs in which no text may be missing.
        facts: `engine`, `engine_version`, `opset` (by domain), `ir_version`, `producer`, `metadata`.
    """

    def __init__(
        self,
        session: "InferenceSession",
        shapes: Shapes,
        signature: Signature,
        independence: Independence,
        facts: Mapping[str, Any],
    ) -> None:
        self.signature = signature
        self.independence = independence
        self.open_ended: str | None = None
        self.facts = facts
        self._run = session.run
        self._options = _run_options()
        # The inputs in which no text may be missing; empty for nearly every model.
        self.texts: tuple[str, ...] = ()
        self._names = [tensor.name for tensor in signature.outputs]
        self._one_by_one = shapes.one_by_one
        plain = {tensor.name for tensor in shapes.outputs if tensor.shape}
        # Empty for nearly every model, which then pays nothing for it.
        self._layouts = {
            name: shapes.layouts[name]
            for name in self._names
            if name not in plain or shapes.layouts[name] is not RowLayout.AS_IS
        }

    def run(self, tensors: Tensors, outputs: Sequence[str] | None = None) -> Tensors:
        """Compute the wanted outputs; see `septet.runtimes.base.Runtime`."""
        names = self._names if outputs is None else list(outputs)
        if not names:
            return {}
        if self.texts:
            refuse_missing(tensors, self.texts)
        try:
            if self._one_by_one:
                return self._row_by_row(tensors, names)
            control = RUN_CONTROL.get()
            found = self._run(names, tensors) if control is None else self._stoppable(control, names, tensors)
            values = dict(zip(names, found, strict=True))
        except RunStopped:
            raise
        except Exception as exc:
            reason = rejection(exc)
            if reason is None:
                raise
            raise InputRejected(reason) from exc
        if self._layouts:
            values.update(
                (name, arranged(values[name], self._layouts[name])) for name in names if name in self._layouts
            )
        return values

    def _row_by_row(self, tensors: Tensors, names: list[str]) -> Tensors:
        rows = min(len(array) for array in tensors.values())
        if rows == 0:
            message = "there are no rows"
            raise InputRejected(message)
        answers = []
        for row in range(rows):
            one = {name: array[row : row + 1] for name, array in tensors.items()}
            control = RUN_CONTROL.get()
            values = self._run(names, one) if control is None else self._stoppable(control, names, one)
            answers.append(
                [
                    arranged(value, self._layouts.get(name, RowLayout.AS_IS))
                    for name, value in zip(names, values, strict=True)
                ]
            )
        return {name: np.concatenate(parts) for name, *parts in zip(names, *answers, strict=True)}

    def close(self) -> None:
        """Free the session."""
        self._run = _closed

    def _stoppable(self, control: RunControl, names: list[str], tensors: Tensors) -> Sequence[Any]:
        """Run the session so that it ends soon where it is told to stop."""
        options = self._options()
        # Each error is raised too.
        options.log_severity_level = 4
        with control.stopping(partial(setattr, options, "terminate", True)):  # noqa: FBT003 - it is set
            try:
                found: Sequence[Any] = self._run(names, tensors, options)
            except Exception as exc:
                if control.stopped:
                    raise RunStopped from exc
                raise
        return found


def _closed(*_: object) -> list[Array]:
    message = "the model was closed"
    raise RuntimeError(message)


def load(path: Path, options: LoadOptions) -> OnnxRuntime:
    """Load a `.onnx` file, with its external data beside it.

    Raises:
        ModelNotFound: there is no such file.
        DamagedModel: it, or the external data it names, is missing, truncated or no ONNX model.
        UnsupportedModel: its opset, an operator, or the type of an input or output cannot be served.
    """
    image = _mapped(path)
    try:
        graph = onnx_graph.read(image)
    except DamagedModel as exc:
        message = f"{path}: {exc.message}. Export or copy it again."
        raise DamagedModel(message) from exc
    places = _places(path, image)
    check_places(path, places)
    with _source(path, image, graph, places) as source:
        session = _session(path, source, places, options)
    declared = onnx_signature.outputs(path, session.get_outputs())
    inputs = onnx_signature.inputs(path, session.get_inputs(), graph)
    names = [output.name for output in declared]
    view = row_dependence(graph, threads=options.threads)
    shapes = settle(inputs, declared, lambda tensors: session.run(names, tensors), declared_rows(graph, view))
    _log_dropped(path, shapes)
    signature = onnx_signature.signature(graph, shapes)
    runtime = OnnxRuntime(session, shapes, signature, independence(graph, view, shapes), _facts(graph))
    runtime.texts = read_texts(graph, runtime.signature)
    runtime.open_ended = open_ended(graph)
    return runtime


def side_files(path: Path) -> tuple[str, ...]:
    """The files of weights that a model names, relative to its folder; `load` says whether they are there.

    Raises:
        ModelNotFound: there is no such file.
        DamagedModel: the file cannot be read.
    """
    return tuple(sorted({item.name for item in _places(path, _mapped(path))}))


def _places(path: Path, image: memoryview) -> tuple[ExternalData, ...]:
    try:
        return external_data(image)
    except DamagedModel as exc:
        message = f"{path}: {exc.message}. Export or copy it again."
        raise DamagedModel(message) from exc


def _mapped(path: Path) -> memoryview:
    """The file's bytes, mapped so that reading names of a large model does not read its weights."""
    try:
        with path.open("rb") as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except FileNotFoundError as exc:
        message = f"{path}: there is no such file"
        raise ModelNotFound(message) from exc
    except OSError as exc:
        message = f"{path}: the file cannot be read: {exc.strerror}"
        raise DamagedModel(message) from exc
    except ValueError as exc:
        message = f"{path}: the file is empty. Export or copy it again."
        raise DamagedModel(message) from exc


@contextmanager
def _source(path: Path, image: memoryview, graph: Graph, places: tuple[ExternalData, ...]) -> Iterator[str | bytes]:
    """The path to load, or the bytes, which the session keeps for as long as it lives."""
    names = frozenset(onnx_zipmaps.zipmaps(graph))
    if not names:
        yield str(path)
        return
    edited = onnx_zipmaps.without_zipmaps(image, names)
    if places or not _DESCRIPTORS.is_dir():
        yield edited
        return
    # An anonymous file, gone after loading: a forest of 500 MB would otherwise stay in memory a second time.
    with open(os.memfd_create("model"), "wb", buffering=0) as file:  # noqa: PTH123 - it has no path
        written = memoryview(edited)
        while written:
            written = written[file.write(written) :]
        del edited, written
        yield str(_DESCRIPTORS / str(file.fileno()))


def _session(
    path: Path, source: str | bytes, places: tuple[ExternalData, ...], options: LoadOptions
) -> "InferenceSession":
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    settings.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # Each error is raised too; logged as well, callers could fill the log with bad values.
    settings.log_severity_level = 4
    # Threads that spin between requests would take the processor from the server.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if isinstance(source, bytes):
        settings.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", str(path.parent.resolve())
        )
    images = _give_weights(settings, path, places)
    try:
        # Its fallback would try the same provider again, and print.
        session = onnxruntime.InferenceSession(source, settings, providers=["CPUExecutionProvider"], enable_fallback=0)
    except Exception as exc:
        raise explained(exc, path) from exc
    # Until here it has read them.
    del images
    return session


def _give_weights(settings: Any, path: Path, places: tuple[ExternalData, ...]) -> list[memoryview]:
    """Let the session copy its weights from other files: it would map them, and answer by what is written there later.

    It does so for the main graph; those of inner graphs and functions it maps all the same. The images that are
    returned must live until the session is made.
    """
    give = getattr(settings, "add_external_initializers_from_files_in_memory", None)
    files = {item.location: path.parent / item.location for item in places}
    if give is None:  # an older onnxruntime
        return []
    images = {location: _mapped(file) for location, file in files.items() if file.stat().st_size}
    if images:
        give(list(images), list(images.values()), [len(image) for image in images.values()])
    return list(images.values())


def _log_dropped(path: Path, shapes: Shapes) -> None:
    dropped = [name for name, layout in shapes.layouts.items() if layout is RowLayout.DROPPED]
    if dropped and not shapes.outputs:
        message = f"{path}: output {dropped[0]!r} is a sequence of tensors of different shapes. Export plain tensors."
        raise UnsupportedModel(message)
    for name in dropped:
        _log.warning("output %r of %s is a sequence of tensors of different shapes and is left out", name, path.name)


def _run_options() -> Any:
    from onnxruntime import RunOptions

    return RunOptions


def _facts(graph: Graph) -> dict[str, Any]:
    import onnxruntime

    return {
        "engine": "onnxruntime",
        "engine_version": onnxruntime.__version__,
        "opset": {domain or "ai.onnx": version for domain, version in graph.opsets.items()},
        "ir_version": graph.ir_version,
        "producer": graph.producer,
        "metadata": dict(graph.metadata),
    }
