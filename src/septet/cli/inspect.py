"""`septet inspect`: what a model or package is."""

from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence

from septet.cli.aligned_text import aligned
from septet.cli.flags import add_path, add_settings, settings
from septet.cli.model_summary import ModelSummary, describe, plain
from septet.cli.overview import age_text, cost_text, tensor_text
from septet.cli.parser import Parser
from septet.cli.terminal import show, show_json
from septet.model.manifest import Manifest
from septet.model.signature import Column
from septet.runtimes.engine_table import engine_for

ARGUMENTS = "PATH"
DESCRIPTION = """\
Show what a model file or package is: its identity, inputs and outputs, labels, provenance, age and files.
No code from the model is run; what would need trust is named."""
EXAMPLE = """\
examples:
  septet inspect iris/
  septet inspect iris.onnx --json"""


def configure(parser: Parser) -> None:
    """Add the command's arguments."""
    add_path(parser)
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    add_settings(parser, ("model", "logs.level"))


def run(args: Namespace) -> int:
    """Print the description.

    Raises:
        StartupError: there is nothing that can be described.
    """
    description = describe(args.path, settings(args))
    if args.json:
        import msgspec

        show_json(msgspec.json.encode(plain(description)))
    else:
        show(_text(description))
    return 0


def _text(description: ModelSummary) -> Iterator[str]:
    manifest = description.manifest
    yield from aligned(_identity(description))
    if manifest is not None:
        yield from _signature(manifest)
        yield from _section("Provenance", _provenance(manifest))
        yield from _section("Engine", _engine(manifest))
    unknown = None if description.package else engine_for(description.path).unknown
    if unknown is not None:
        yield from ("", "Not known", f"  {unknown}")
    if description.freshness is not None:
        yield from _section("Age", [(description.freshness.state, age_text(description.freshness))])
    yield from _section("Files (SHA-256)", sorted(description.files.items()))
    yield from _section("Not of the package, and not read", [(name, "") for name in description.unlisted])
    yield from ("", "Trust")
    if not description.trust:
        yield "  not needed: loading it runs no code of its own"
    for digest in description.trust:
        yield f"  needed, as loading it runs code: --trust {digest}"


def _identity(description: ModelSummary) -> list[tuple[str, str]]:
    manifest = description.manifest
    rows = [("path", f"{description.path} ({'package' if description.package else 'model file'})")]
    if manifest is not None:
        rows += [("name", manifest.name), ("version", manifest.version)]
    rows.append(("digest", description.digest))
    if manifest is not None:
        rows += [("kind", manifest.signature.kind.value), ("runtime", manifest.runtime)]
        rows += [("about", manifest.description)] if manifest.description else []
    if description.golden_rows is not None:
        rows.append(("golden rows", str(description.golden_rows)))
    return rows


def _signature(manifest: Manifest) -> Iterator[str]:
    signature = manifest.signature
    yield from _section("Inputs", [(tensor.name, tensor_text(tensor)) for tensor in signature.inputs])
    if signature.columns:
        header = ("column", "type", "null", "from", "to", "values", "unit")
        yield from ("", "Columns")
        yield from aligned([header, *(_column(column) for column in signature.columns)], indent="  ")
    roles = {signature.label: " (the label)", signature.scores: " (the scores)"}
    outputs = [(tensor.name, tensor_text(tensor) + roles.get(tensor.name, "")) for tensor in signature.outputs]
    yield from _section("Outputs", outputs)
    yield from _section("Labels", [(str(at), label) for at, label in enumerate(signature.labels)])


def _column(column: Column) -> tuple[str, ...]:
    values = "" if column.categories is None else ", ".join(map(str, column.categories))
    if column.other_categories:
        values += ", or others" if values else "any"
    bounds = ("" if bound is None else f"{bound:g}" for bound in (column.minimum, column.maximum))
    return (column.name, column.dtype, "yes" if column.nullable else "no", *bounds, values, column.unit or "")


def _provenance(manifest: Manifest) -> list[tuple[str, str]]:
    training, parity = manifest.training, manifest.parity
    data = training.data
    window = f"{data.since or '?'} to {data.until or '?'}" if data.since or data.until else None
    facts = {
        "trained at": training.trained_at,
        "data": data.name,
        "data rows": data.rows,
        "data digest": data.digest,
        "data window": window,
        "algorithm": training.algorithm,
        "parameters": _pairs(training.parameters.items()),
        "metrics": _pairs(training.metrics.items()),
        "libraries": _pairs(training.libraries.items()),
        "code": training.code_revision,
        "owner": training.owner,
        "valid for": None if manifest.valid_for_days is None else f"{manifest.valid_for_days} days",
        "parity": None
        if parity is None
        else f"differs by at most {parity.largest_difference:.2g} from the native model on {parity.rows} rows",
    }
    return [(name, str(fact)) for name, fact in facts.items() if fact not in (None, "")]


def _engine(manifest: Manifest) -> list[tuple[str, str]]:
    engine = manifest.engine
    if engine is None:
        return []
    rows = [("chosen", engine.chosen), ("reason", engine.reason)]
    for name, costs in (("onnx", engine.onnx), ("native", engine.native)):
        rows += [(f"{name}, {cost.rows} row{'s' if cost.rows != 1 else ''}", cost_text(cost)) for cost in costs]
    return rows


def _pairs(items: Iterable[tuple[str, object]]) -> str:
    return ", ".join(f"{name} {value}" for name, value in items)


def _section(title: str, rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    if rows:
        yield from ("", title)
        yield from aligned(rows, indent="  ")
