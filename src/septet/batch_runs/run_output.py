"""Where the parts of a run are written, and how they become the target: by names that the plan alone decides."""

import contextlib
import os
import shutil
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

import msgspec

from septet.batch_runs.answer_columns import AnswerColumns
from septet.batch_runs.batch_plan import BatchPlan
from septet.batch_runs.batch_run import UnitResult
from septet.batch_runs.error_rows import write_errors
from septet.batch_runs.kept_columns import kept_field
from septet.errors import Conflict, Invalid, Problem
from septet.model.signature import Signature
from septet.tables.arrow_values import pa
from septet.tables.file_formats import FORMATS, FileFormat

#: Of a folder that a run has written: which one, and its files.
MANIFEST_NAME: Final = "_septet.json"
#: The columns that say where a row's answer comes from.
PROVENANCE: Final = ("model", "model_version", "model_digest", "run")


class OutputManifest(msgspec.Struct, frozen=True):
    """What stands in a folder of answers: the run, its model, and each file with its rows."""

    run: str
    model: str
    model_version: str
    model_digest: str
    rows: int
    bad_rows: int
    parts: Sequence[str]


class RunOutput:
    """The files of one run.

    Attributes:
        schema: of what is written.
        provenance: the columns that say where each answer comes from, with their values; empty where the file says it.
    """

    def __init__(self, plan: BatchPlan, run: str, signature: Signature, source_schema: pa.Schema | None) -> None:
        """Raise Invalid where two columns of the target have one name."""
        self._plan = plan
        self._run = run
        facts = (plan.identity.name, plan.identity.version, plan.identity.digest, run)
        said = dict(zip(PROVENANCE, facts, strict=True))
        self.provenance: Mapping[str, str] = said if plan.provenance else {}
        fields = [
            *(kept_field(column, source_schema) for column in plan.kept),
            *AnswerColumns(signature).fields,
            *(pa.field(name, pa.string()) for name in self.provenance),
        ]
        _require_distinct([field.name for field in fields])
        metadata = {f"septet.{name}": value for name, value in said.items()}
        self.schema = pa.schema([field.remove_metadata() for field in fields], metadata)

    @property
    def is_folder(self) -> bool:
        """Whether the target is a folder of parts, and not one file."""
        return self._plan.target.endswith("/")

    @cached_property
    def target(self) -> Path:
        """The file or folder."""
        return Path(self._plan.target)

    @property
    def part_format(self) -> FileFormat:
        """The format of parts: that of the target, or one that is read fast where they are joined at the end."""
        return FORMATS[self._plan.target_format if self.is_folder else "feather"]

    @cached_property
    def stage(self) -> Path:
        """The folder of what is not published yet; other programs pass over its name."""
        name = f".septet-{self._run[:12]}"
        return self.target / name if self.is_folder else self.target.with_name(f".{self.target.name}{name}")

    def part(self, unit: int) -> Path:
        """Where a unit's answers are written."""
        return self.stage / f"part-{unit:06d}-{self._run[:12]}{self.part_format.suffixes[0]}"

    def unit_errors(self, unit: int) -> Path:
        """Where its bad rows are."""
        return self.stage / f"errors-{unit:06d}.feather"

    def prepare(self) -> None:
        """Make the folder for parts."""
        self.stage.mkdir(parents=True, exist_ok=True)

    def discard(self) -> None:
        """Remove what is not published."""
        shutil.rmtree(self.stage, ignore_errors=True)

    def publish(self, results: Sequence[UnitResult]) -> None:
        """Make the parts the target. It can be called again where it did not come to its end."""
        if not self.stage.exists():
            return
        self._write_errors(results)
        if self.is_folder:
            self._publish_folder(results)
        else:
            self._publish_file(results)
        self.discard()

    def _write_errors(self, results: Sequence[UnitResult]) -> None:
        path = Path(self._plan.errors)
        if not any(result.problems for result in results):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            return
        unfinished = path.with_name(f".septet-{self._run[:12]}-{path.name}")
        units = [(result, self.unit_errors(result.index)) for result in results]
        write_errors(unfinished, units, [file.path for file in self._plan.files], self._plan.batch_rows)
        replace(unfinished, path)

    def _publish_file(self, results: Sequence[UnitResult]) -> None:
        unfinished = self.stage / f"whole{''.join(self.target.suffixes[-2:])}"
        writer = FORMATS[self._plan.target_format].write(unfinished, self.schema)
        rows = 0
        for result in results:
            reader = self.part_format.read(self.part(result.index))
            for part in reader.parts(self._plan.batch_rows):
                for batch in reader.batches(part, self.schema.names, self._plan.batch_rows):
                    writer.write(pa.table(dict(batch.columns), schema=self.schema))
                    rows += batch.rows
            reader.close()
        writer.close()
        _require_all(rows, results)
        replace(unfinished, self.target)

    def _publish_folder(self, results: Sequence[UnitResult]) -> None:
        before = read_manifest(self.target)
        names = [self.part(result.index).name for result in results]
        if self.part_format.has_types:
            found = 0
            for name in names:
                path = self.stage / name
                reader = self.part_format.read(path if path.exists() else self.target / name)
                found += sum(part.rows or 0 for part in reader.parts(self._plan.batch_rows))
                reader.close()
            _require_all(found, results)
        for name in names:
            # One that is gone was moved before.
            with contextlib.suppress(FileNotFoundError):
                (self.stage / name).replace(self.target / name)
        identity = self._plan.identity
        rows, bad = sum(result.rows for result in results), sum(result.bad_rows for result in results)
        manifest = OutputManifest(self._run, identity.name, identity.version, identity.digest, rows, bad, names)
        unfinished = self.stage / MANIFEST_NAME
        unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        replace(unfinished, self.target / MANIFEST_NAME)
        for name in () if before is None else set(before.parts) - set(names):
            with contextlib.suppress(FileNotFoundError):
                (self.target / name).unlink()


def read_manifest(folder: Path) -> OutputManifest | None:
    """What a run has written into a folder; None where none has."""
    try:
        return msgspec.json.decode((folder / MANIFEST_NAME).read_bytes(), type=OutputManifest)
    except FileNotFoundError:
        return None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Conflict(f"{folder / MANIFEST_NAME}: is damaged; write to another folder") from None


def replace(unfinished: Path, path: Path) -> None:
    """Put a whole file in place of what is there, so that neither a crash nor a loss of power leaves half of it."""
    descriptor = os.open(unfinished, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    unfinished.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _require_distinct(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Invalid(
            f"Two columns of the target would have the name {twice[0]!r}: keep that column under another one with "
            f"--keep '{twice[0]}=NEW'.",
            tuple(Problem(None, name, "each column once", "twice") for name in twice),
        )


def _require_all(rows: int, results: Sequence[UnitResult]) -> None:
    """Each row that was read has an answer or stands in the table of errors."""
    wanted = sum(result.rows - result.bad_rows for result in results)
    if rows != wanted:
        raise RuntimeError(f"{rows} answers were written for {wanted} good rows")
