"""What Septet knows of a kind of model file: one record for each engine, and nothing of it anywhere else."""

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import msgspec

from septet.runtimes.base import Loader, LoadOptions, Runtime


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of model file, and what runs it. Reading the record imports no library of the engine.

    `module` is the engine's own, imported when it is first asked. It has `load(path, options) -> Runtime`, and
    `side_files(path)`, `runs_code(path)`, `read_model(path, options)` and `runtime_of(model, options, source=...)`
    where the record says so.

    Attributes:
        key: what a manifest calls it, and the name of the extra that installs it.
        suffixes: those of its files, in lower case.
        module: the full name of the module.
        libraries: the distributions that run a model; a package records their versions.
        held: those of them whose objects an artefact holds: another minor version may predict differently.
        foreign: other libraries whose objects an artefact may hold: distributions by the module of their classes.
        may_run_code: whether loading a file may run code of its author; `runs_code` says it of each file.
        forkable: whether a model may be loaded before forking; with one thread it then starts none of its own.
        has_side_files: whether a model may lie in several files; `side_files` lists the others.
        null_texts: whether a text may be missing.
        library_shapes: whether outputs have the shapes that the library's own `predict` gives.
        methods: a Python object with one of these methods is a model that `read_model` gives and `runtime_of` takes;
            empty: the engine has no such objects.
        unknown: what a bare file does not know of its model and a package does; None: nothing.
    """

    key: str
    suffixes: tuple[str, ...]
    module: str
    libraries: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    foreign: Mapping[str, tuple[str, ...]] = {}
    may_run_code: bool = True
    forkable: bool = False
    has_side_files: bool = False
    null_texts: bool = False
    library_shapes: bool = False
    methods: tuple[str, ...] = ()
    unknown: str | None = None

    def load(self, path: Path, options: LoadOptions) -> Runtime:
        """Load a model file.

        Raises:
            DamagedModel: it cannot be read.
            UnsupportedModel: it has parts that cannot be served.
            MissingExtra: the engine is not installed.
        """
        return cast("Loader", self._function("load"))(path, options)

    def runs_code(self, path: Path) -> bool:
        """Whether loading this file runs code of its author, which must be trusted by digest."""
        return self.may_run_code and bool(self._function("runs_code")(path))

    def side_files(self, path: Path) -> tuple[str, ...]:
        """The other files of the model as it names them, relative to the folder of `path`; `load` checks them.

        Raises:
            DamagedModel: the file cannot be read.
        """
        return tuple(self._function("side_files")(path)) if self.has_side_files else ()

    def takes(self, model: object) -> bool:
        """Whether a Python object is a model of this engine."""
        return any(hasattr(model, method) for method in self.methods)

    def read_model(self, path: Path, options: LoadOptions) -> object:
        """The model in a file as a Python object, as its library has it; of an engine with `methods`.

        Raises:
            StartupError: as `load`.
        """
        return self._function("read_model")(path, options)

    def runtime_of(self, model: object, options: LoadOptions, *, source: str) -> Runtime:
        """The runtime of a model in memory; `source` names it in errors.

        Raises:
            UnsupportedModel: it does not answer new rows.
            MissingExtra: a library that it needs is not installed.
        """
        return cast("Runtime", self._function("runtime_of")(model, options, source=source))

    @property
    def compared(self) -> tuple[str, ...]:
        """The distributions whose versions must be those that a package was made with."""
        return (*self.held, *(name for names in self.foreign.values() for name in names))

    def _function(self, name: str) -> Callable[..., Any]:
        return cast("Callable[..., Any]", getattr(import_module(self.module), name))
