"""Files: models, packages, labels and tables. What their readers do not take is refused by an error of Septet's own."""

import asyncio
import atexit
import contextlib
import hashlib
import io
import shutil
import tempfile
import zipfile
from pathlib import Path

from fuzzing.promise import Check, require
from septet.assembly.admin_routes import AdminRoutes
from septet.errors import ModelNotFound, SeptetError, StartupError
from septet.events import NullObserver
from septet.model.golden import golden_from_json
from septet.model.labels import read_labels
from septet.model.package import MANIFEST_NAME, read_package
from septet.model.profile import profile_from_json
from septet.model.septet_toml import manifest_from_toml
from septet.model.signature import Column, Tensor
from septet.protocols.http.app import App
from septet.protocols.http.http_messages import HttpRequest
from septet.runtimes.onnx import onnx_graph, onnx_zipmaps
from septet.runtimes.onnx.onnx_categories import categories
from septet.runtimes.onnx.onnx_external import check_places, external_data
from septet.runtimes.onnx.onnx_roles import roles
from septet.runtimes.onnx.onnx_rows import row_dependence
from septet.runtimes.onnx.onnx_run_length import open_ended
from septet.runtimes.sklearn.sklearn_file import read_estimator
from septet.server.release_messages import ReleaseOrder, ReleaseResult
from septet.settings import Limits
from septet.tables.table_formats import READERS, TABLE_FORMATS, detect_format

REFUSALS = (SeptetError, StartupError)
_INPUT = Tensor("x", "float32", (None, 4), tuple(Column(f"c{at}", "float32") for at in range(4)))
_OUTPUT = Tensor("y", "float32", (None, 1))


def onnx() -> Check:
    """The reader of ONNX files, and all that is concluded from a graph."""

    def check(data: bytes) -> None:
        image = memoryview(data)
        try:
            graph = onnx_graph.read(image)
            row_dependence(graph, threads=1)
            open_ended(graph)
            categories(graph, (_INPUT,))
            roles(graph, (_OUTPUT,), {})
            zipped = frozenset(onnx_zipmaps.zipmaps(graph))
            if zipped:
                onnx_zipmaps.without_zipmaps(image, zipped)
        except REFUSALS:
            pass
        with contextlib.suppress(*REFUSALS):
            check_places(Path("/nowhere/model.onnx"), external_data(image))

    return check


def packages() -> Check:
    """The files of a package, one by one and together: the first byte says which."""
    folder = _folder()
    (folder / "model.onnx").write_bytes(b"")

    def check(data: bytes) -> None:
        kind, body = (data[0] % 6 if data else 0), data[1:]
        try:
            if kind == 0:
                manifest_from_toml(body, "septet.toml")
            elif kind == 1:
                golden_from_json(body, "golden.json")
            elif kind == 2:
                profile_from_json(body, "profile.json")
            elif kind in (3, 4):
                path = folder / ("labels.json" if kind == 3 else "labels.txt")
                path.write_bytes(body)
                try:
                    read_labels(path)
                finally:
                    path.unlink()
            else:
                (folder / MANIFEST_NAME).write_bytes(body.replace(b"DIGEST", _EMPTY))
                read_package(folder)
        except REFUSALS:
            pass

    return check


def _folder() -> Path:
    """A folder that is removed when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="septet-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


_EMPTY = hashlib.sha256(b"").hexdigest().encode()


def release_orders() -> Check:
    """What the admin socket is told; none of these orders names a model that there is."""
    loop, app, events = asyncio.get_event_loop(), App(), NullObserver()

    async def release(order: ReleaseOrder) -> ReleaseResult:
        raise ModelNotFound(str(Path(order.path)))

    app.install(lambda _: (), (AdminRoutes(release),), events, Limits(max_body_bytes=1 << 16))

    def check(data: bytes) -> None:
        reply = loop.run_until_complete(app(HttpRequest("POST", "/release", b"", {}, data)))
        require(reply.status in (400, 409, 413), f"{reply}")

    return check


def skops() -> Check:
    """Archives of skops: a zip whose first member is the schema; mostly the archive is written around it here."""
    # They take seconds, which are no input's.
    import sklearn  # noqa: F401
    import skops.io  # noqa: F401

    folder = _folder()
    path = folder / "model.skops"

    def check(data: bytes) -> None:
        if data[:1] >= b"\x80":
            stream = io.BytesIO()
            with zipfile.ZipFile(stream, "w") as archive:
                archive.writestr("schema.json", data[1:])
            path.write_bytes(stream.getvalue())
        else:
            path.write_bytes(data[1:])
        with contextlib.suppress(*REFUSALS):
            read_estimator(path, ())

    return check


def tables() -> Check:
    """Tables of `predict` and `pack`; the first byte says of which format."""

    def check(data: bytes) -> None:
        kind, body = (data[0] if data else 0), data[1:]
        try:
            stream: object = io.BytesIO(body)
            name = TABLE_FORMATS[kind % len(TABLE_FORMATS)]
            if kind & 0x80:
                name, stream = detect_format(io.BytesIO(body))
            for _ in READERS[name](stream).batches(50):
                pass
        except REFUSALS:
            pass

    return check
