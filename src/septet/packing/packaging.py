"""`septet.pack`: a package from a model file as it is."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

import msgspec
import numpy as np

from septet.errors import PackageInvalid
from septet.model.digest import DigestedFiles
from septet.model.label_files import files_beside, with_labels_beside
from septet.model.manifest import Manifest, name_from
from septet.model.package_writing import write_package
from septet.model.sample import sample
from septet.packing.evidence import golden_of, profile_of_data
from septet.packing.provenance import About, Statement, training
from septet.packing.save import Saved, trust_needed
from septet.packing.signatures import declared
from septet.packing.sources import sources_of
from septet.packing.statement_check import check_identity, check_statement
from septet.packing.training_table import rows_of
from septet.packing.training_tensors import tensors_of
from septet.predictor.comparison import require_independence
from septet.runtimes.base import LoadOptions
from septet.runtimes.engine_table import engine_for


def pack(  # noqa: PLR0913 - each is a flag of `septet pack`
    file: str | Path,
    path: str | Path,
    *,
    data: Any = None,
    target: Any = None,
    name: str | None = None,
    version: str = "1",
    trust: Sequence[str] = (),
    replace: bool = False,
    **about: Unpack[About],
) -> Saved:
    """Write the package of the model file `file` to the folder `path`, keeping the file as it is.

    The signature is the file's own. Without `data` there is one golden row, made up to fit it, and no
    profile. A label file beside the model is used unless `labels` are given (none: the model's own); it must
    not contradict the model. `trust` holds the digests of files whose
    code may run. Everything in `about` is optional; see `septet.packing.provenance.Statement`.

    Raises:
        ModelNotFound, DamagedModel, UnsupportedModel, Untrusted, VersionsMismatch, MissingExtra: as when serving it.
        Invalid: `data` does not fit the model.
        LabelsMismatch: the labels do not fit the model's output.
        GoldenMismatch: `about` says that rows are independent, and they are not.
        PackageInvalid: the folder exists (and `replace` is False), or `about` does not fit the model.
        DigestMismatch: a file was changed meanwhile.
        TypeError: `about` has an unknown name.
    """
    statement = Statement(**about)
    check_statement(statement)
    check_identity(name, version)
    if statement.prepare is not None:
        raise PackageInvalid("prepare: preprocessing code goes into a package with septet.save, which can check it")
    source, root = Path(file), Path(path)
    engine = engine_for(source)
    digested = DigestedFiles()
    digested.remember(source)
    names = (source.name, *engine.side_files(source))
    for each in names:
        digested.remember(source.parent / each)
    runtime = engine.load(source, LoadOptions(trust=tuple(trust)))
    beside = files_beside(source.parent) if statement.labels is None else []
    signature = with_labels_beside(runtime.signature, source.parent) if beside else runtime.signature
    if not statement.labels:
        statement = msgspec.structs.replace(statement, labels=None)
    signature = declared(signature, statement)
    answers = None if target is None else np.asarray(target)
    rows = sample(signature) if data is None else tensors_of(data, signature)
    manifest = Manifest(
        name=name or name_from(source.stem),
        version=version,
        runtime=engine.key,
        artefact=source.name,
        signature=signature,
        training=training(statement, None, None if data is None else rows_of(data), answers),
        valid_for_days=statement.valid_for_days,
        description=statement.description,
        row_independent=statement.row_independent,
    )
    golden = golden_of(runtime, signature, rows)
    if statement.row_independent and signature.rows:
        require_independence(root, runtime, signature, golden)
    profile = None if data is None else profile_of_data(data, signature, answers)
    files: dict[str, bytes | Path] = {name: source.parent / name for name in names}
    package = write_package(root, manifest, files, golden=golden, profile=profile, replace=replace, digested=digested)
    runtime.close()
    labels = f"{beside[0].name} beside {source.name}" if beside else source.name
    taken = sources_of(signature, statement, data, target, columns=source.name, labels=labels)
    return Saved(package, trust=trust_needed(package), sources=taken)
