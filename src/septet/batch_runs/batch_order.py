"""What somebody asks of a run, and the plan that follows from it once source and model have been looked at."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from septet.batch_runs.batch_plan import BatchPlan, planned_units
from septet.batch_runs.column_matching import ColumnMatching, match_columns
from septet.batch_runs.kept_columns import kept_columns
from septet.batch_runs.source_files import SourceFile, source_files
from septet.errors import Invalid, Problem, invalid
from septet.identity import Identity
from septet.model.signature import Signature
from septet.tables.arrow_values import pa
from septet.tables.column_batch import ColumnBatch, TableForm
from septet.tables.file_formats import FORMATS, FileFormat, FileFormatName, file_format
from septet.tables.table_file import FilePart, FileReader

#: Rows by which the types of columns of JSON are told that are carried over.
FIRST_ROWS = 1000


class BatchOrder(msgspec.Struct, frozen=True):
    """What is asked for.

    Attributes:
        model, source, target: paths; `source` may be a pattern, and a `target` that ends with `/` is a folder.
        source_format, target_format: where the names do not say them.
        errors: the file for bad rows; None for one beside the target.
        renames: of the model's columns, the names that they have in the source.
        keep: columns that are carried over, with the names that they get.
        provenance: whether each row says its model and run.
        limit: how many rows are read, at most.
        unit_rows, batch_rows: about how many rows are done as one step, and are read at once.
    """

    model: str
    source: str
    target: str
    source_format: FileFormatName | None = None
    target_format: FileFormatName | None = None
    errors: str | None = None
    renames: Mapping[str, str] = {}
    keep: Mapping[str, str] = {}
    provenance: bool = True
    limit: int | None = None
    unit_rows: int = 500_000
    batch_rows: int = 8192

    @property
    def errors_file(self) -> str:
        """Where bad rows stand: beside a file, or in a folder under a name that readers of folders pass over."""
        if self.errors is not None:
            return self.errors
        if self.target.endswith("/"):
            return f"{self.target}_errors.jsonl"
        path = Path(self.target)
        return str(path.with_name(f"{path.name.partition('.')[0]}.errors.jsonl"))


def planned(order: BatchOrder, signature: Signature, identity: Identity) -> tuple[BatchPlan, pa.Schema | None]:
    """The plan for an order, and the types of the source's columns, where it states them.

    Raises:
        NotFound: there is no such source.
        Invalid: it does not fit the model.
        Malformed: it cannot be read.
    """
    if not signature.rows:
        raise Invalid("This model answers a request as a whole, not row by row: it cannot be run over a table.")
    form, files = source_files(order.source, order.source_format)
    schema, matching, first = _looked_at(order, signature, form, files)
    parts = _parts(form, files, order.unit_rows, schema)
    target_format = _target_format(order)
    return (
        BatchPlan(
            model=order.model,
            identity=identity,
            source=order.source,
            format=form.name,
            files=tuple(files),
            target=order.target,
            target_format=target_format,
            errors=order.errors_file,
            matching=matching,
            kept=tuple(kept_columns(order.keep, first)),
            provenance=order.provenance,
            batch_rows=order.batch_rows,
            units=tuple(planned_units(parts, order.unit_rows, order.limit)),
        ),
        schema,
    )


def source_schema(plan: BatchPlan) -> pa.Schema | None:
    """The types of the columns of a plan's source, where it states them."""
    reader = FORMATS[plan.format].read(Path(plan.files[0].path))
    try:
        return _with_partitions(reader.schema, plan.files[0])
    finally:
        reader.close()


def _target_format(order: BatchOrder) -> FileFormatName:
    if order.target_format is not None:
        return order.target_format
    if order.target.endswith("/"):
        return "parquet"
    name: FileFormatName = file_format(Path(order.target)).name
    return name


def _looked_at(
    order: BatchOrder, signature: Signature, form: FileFormat, files: Sequence[SourceFile]
) -> tuple[pa.Schema | None, ColumnMatching, ColumnBatch | None]:
    """What the first file says: the types of its columns, which of them are read, and its first rows without types."""
    reader = form.read(Path(files[0].path))
    try:
        schema = _with_partitions(reader.schema, files[0])
        first = None if schema is not None else _first_rows(reader)
        names = [*reader.names, *files[0].partitions]
        if first is not None:
            if first.form is TableForm.LISTS:
                return None, _by_place(signature, first, order), first
            names = list(dict.fromkeys((*first.columns, *files[0].partitions)))
        matching = match_columns(signature, names, schema=schema, renames=order.renames, kept=tuple(order.keep))
        return schema, matching, first
    finally:
        reader.close()


def _first_rows(reader: FileReader) -> ColumnBatch:
    for part in reader.parts(FIRST_ROWS):
        for batch in reader.batches(part, (), FIRST_ROWS):
            return batch
    return ColumnBatch({name: [] for name in reader.names}, 0, form=TableForm.TEXTS)


def _by_place(signature: Signature, first: ColumnBatch, order: BatchOrder) -> ColumnMatching:
    """Rows without names are the model's columns in their order."""
    if order.keep or order.renames:
        raise Invalid("The rows of the source are lists: their columns have no names to keep or to rename.")
    wanted = [column.name for column in signature.columns] or [tensor.name for tensor in signature.inputs]
    if signature.columns and len(first.columns) != len(wanted):
        raise invalid([Problem(0, None, f"a list of {len(wanted)} values", f"a list of {len(first.columns)}")])
    return ColumnMatching(dict(zip(wanted, first.columns, strict=False)))


def _with_partitions(schema: pa.Schema | None, file: SourceFile) -> pa.Schema | None:
    if schema is None:
        return None
    for name, value in file.partitions.items():
        if name in schema.names:
            raise Invalid(f"{file.path}: the column {name!r} is in the file and in the name of its folder")
        schema = schema.append(pa.field(name, pa.int64() if isinstance(value, int) else pa.string()))
    return schema


def _parts(
    form: FileFormat, files: Sequence[SourceFile], rows: int, schema: pa.Schema | None
) -> Iterator[tuple[int, FilePart]]:
    for at, file in enumerate(files):
        reader = form.read(Path(file.path))
        try:
            if schema is not None:
                _require_schema(file, _with_partitions(reader.schema, file), schema)
            yield from zip(itertools.repeat(at), reader.parts(rows), strict=False)
        finally:
            reader.close()


def _require_schema(file: SourceFile, found: pa.Schema | None, wanted: pa.Schema) -> None:
    """Raise Invalid where a file has other columns than the first one."""
    if found is None or found.remove_metadata() == wanted.remove_metadata():
        return
    for field in wanted:
        if field.name not in found.names:
            raise Invalid(f"{file.path}: has no column {field.name!r}, which the first file has")
        if found.field(field.name).type != field.type:
            other = found.field(field.name).type
            raise Invalid(f"{file.path}: its column {field.name!r} is {other}, and {field.type} in the first file")
