"""A package whose every text tries to command a terminal, to end a line, or to turn the direction of writing."""

import shutil
from pathlib import Path

from msgspec.structs import replace

from septet.model.manifest import Data, Training
from septet.model.package import read_package
from septet.model.septet_toml import manifest_to_toml
from tests.e2e.process import IRIS

EVIL = "e\x1b]0;owned\x07\x9b2J\u202e\r\nerror: forged"


def hostile(folder: Path) -> Path:
    """A sound package of the iris with such texts wherever a manifest has texts for people."""
    package = folder / "iris"
    shutil.copytree(IRIS, package)
    manifest = read_package(package).manifest
    signature = manifest.signature
    inputs = tuple(
        replace(tensor, columns=tuple(replace(each, name=EVIL + each.name, unit=EVIL) for each in tensor.columns))
        for tensor in signature.inputs
    )
    training = Training(
        trained_at=manifest.training.trained_at,
        data=Data(name=EVIL, digest=EVIL),
        algorithm=EVIL,
        parameters={EVIL: EVIL},
        metrics={EVIL: 0.5},
        code_revision=EVIL,
        libraries={EVIL: EVIL},
        owner=EVIL,
    )
    labels = tuple(EVIL + label for label in signature.labels)
    evil = replace(
        manifest, signature=replace(signature, inputs=inputs, labels=labels), training=training, description=EVIL
    )
    (package / "septet.toml").write_text(manifest_to_toml(evil))
    return package


def is_clean(text: str) -> bool:
    """Whether a terminal shows a text as it is, with no line that somebody forged."""
    return text.replace("\n", "").isprintable() and "\nerror: forged" not in text
