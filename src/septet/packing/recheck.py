"""The gate once more: a package's compiled model compared with the native one, on this machine's engine."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from septet.errors import PackageInvalid, UnsupportedModel
from septet.model.manifest import Parity
from septet.model.package import Package
from septet.model.signature import DTYPES, Signature, Tensor
from septet.packing.parity import ParityGate, Unequal
from septet.runtimes.base import LoadOptions
from septet.runtimes.declared_inputs import with_declared_inputs
from septet.runtimes.engine_table import load
from septet.types import Tensors


def recheck_parity(
    package: Package, native: Path, trust: Sequence[str], rows: Tensors | None = None
) -> Parity | Unequal:
    """Compare the package's model with the estimator in the file `native`, as when it was compiled.

    `rows` are real ones, as the package's tensors; without them the golden rows are taken.

    Raises:
        PackageInvalid: the package has preprocessing code or no rows, or the file's columns are not the package's.
        StartupError: one of the models cannot be loaded.
    """
    from septet.runtimes.sklearn.sklearn_file import read_estimator
    from septet.runtimes.sklearn.sklearn_runtime import runtime_of

    manifest = package.manifest
    if manifest.prepare is not None:
        raise PackageInvalid(f"{package.root}: its preprocessing code stands before the model, which is compared alone")
    if rows is None:
        rows = None if package.golden is None else package.golden.request
    if rows is None or not len(next(iter(rows.values()))):
        raise PackageInvalid(f"{package.root}: has no golden rows to compare with; give real ones with --data")
    options = LoadOptions(trust=tuple(trust))
    signature = _wide(manifest.signature)
    model, _ = read_estimator(native, options.trust)
    wide = {tensor.name: rows[tensor.name].astype(DTYPES[tensor.dtype]) for tensor in signature.inputs}
    native_options = msgspec.structs.replace(options, signature=signature, rows=wide)
    try:
        estimator = runtime_of(model, native_options, source=str(native))
    except UnsupportedModel as exc:
        raise PackageInvalid(f"{exc.message}: it is not the package's model") from exc
    ours, theirs = (
        {tensor.name: (tensor.dtype, tensor.shape) for tensor in each.inputs}
        for each in (signature, estimator.signature)
    )
    if ours != theirs:
        raise PackageInvalid(f"{native}: takes {theirs}, and the package {ours}: it is not the package's model")
    served = with_declared_inputs(load(manifest.runtime, package.artefact, options), manifest.signature)
    return ParityGate(estimator, signature, wide, model).check(served, signature)


def _wide(signature: Signature) -> Signature:
    """The signature of the native model, whose numbers are float64."""
    return msgspec.structs.replace(signature, inputs=tuple(map(_widened, signature.inputs)))


def _widened(tensor: Tensor) -> Tensor:
    if tensor.dtype != np.dtype(np.float32).name:
        return tensor
    columns = tuple(
        msgspec.structs.replace(column, dtype="float64") if column.dtype == tensor.dtype else column
        for column in tensor.columns
    )
    return msgspec.structs.replace(tensor, dtype="float64", columns=columns)
