"""Preprocessing code before any service, such as the model of another server."""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from septet.model.consistency import check_signature
from septet.model.layout import arranged
from septet.model.signature import Column, Tensor
from septet.preprocessing.preprocessed_predictor import PreprocessedPredictor
from septet.preprocessing.preprocessing_step import PreprocessingStep, read_preprocessing_code
from septet.runtimes.base import LoadOptions
from septet.service import Service
from septet.types import Tensors


def preprocessed_service(
    service: Service,
    prepare: str | os.PathLike[str],
    columns: Sequence[Column],
    *,
    trust: Sequence[str],
    outputs: Sequence[Tensor] | None = None,
    sample: Tensors | None = None,
) -> Service:
    """The service with the functions of the file `prepare` before and behind its predictor.

    Requests have `columns`, from which `prepare` of the file makes the service's own inputs. Identity, timings and
    flags of an answer are the service's own. To close the result closes the service, too.

    Args:
        service: whose predictor is asked, such as a `remote_service`.
        prepare: a file of preprocessing code; see `septet.preprocessing.preprocessing_step`.
        columns: the raw columns, as a package's signature declares them.
        trust: digests of files whose code may run; the file's must be among them.
        outputs: those that `finish` of the file makes; None where they are the service's own.
        sample: one row of the raw inputs that the model answers, [1] or [1, n] each; without one there is no self-test.

    Raises:
        ModelNotFound, Untrusted, DamagedModel: the file is missing, not trusted, or fails.
        PackageInvalid: it has no function `prepare`, or the columns contradict themselves.
    """
    source = Path(prepare)
    code = read_preprocessing_code(source, LoadOptions(trust=tuple(trust)))
    signature, manifest = service.signature, service.manifest
    made = msgspec.structs.replace(signature, inputs=arranged(columns))
    if outputs is not None:
        made = made.with_outputs(tuple(outputs))
    check_signature(made, str(source))
    step = PreprocessingStep(code, made.inputs, signature)
    predictor = PreprocessedPredictor(service.predictor, step, made)

    def close() -> None:
        predictor.close()
        service.close()

    return msgspec.structs.replace(
        service,
        signature=made,
        predictor=predictor,
        manifest=msgspec.structs.replace(
            manifest,
            signature=made,
            prepare=source.name,
            files={**manifest.files, source.name: code.digest.removeprefix("sha256:")},
        ),
        sample=sample,
        answer=None,
        expected=None,
        close=close,
    )
