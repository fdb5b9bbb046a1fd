"""The texts of a manifest that go where a control character does harm: headers, paths, metrics, terminals."""

from collections.abc import Iterator
from typing import Final

from septet.control_characters import escaped, has_controls
from septet.errors import PackageInvalid
from septet.model.manifest import Manifest
from septet.settings.fields import Field, fields

_SHOWN: Final = 80


def check_identity(name: str | None, version: str | None) -> None:
    """Refuse names and versions that no path or header can carry; None where none is given.

    Raises:
        PackageInvalid: they cannot.
    """
    patterns = {field.key: field for field in fields()}
    for given, field in ((name, patterns["model.name"]), (version, patterns["model.version"])):
        if given is not None:
            _check_text(given, field)


def check_texts(manifest: Manifest, source: str) -> None:
    """Refuse a manifest with a name, version or name of a tensor, column or file that steers what shows it.

    All other texts, such as labels and descriptions, may be anything; whoever writes them to a terminal, a header or a
    log escapes them.

    Raises:
        PackageInvalid: `source` is where the manifest comes from.
    """
    try:
        check_identity(manifest.name, manifest.version)
    except PackageInvalid as error:
        raise PackageInvalid(f"{source}: {error.message}") from None
    for what, text in _names(manifest):
        if has_controls(text):
            raise PackageInvalid(f"{source}: {what} is '{escaped(text[:_SHOWN])}', which has control characters")


def _names(manifest: Manifest) -> Iterator[tuple[str, str]]:
    yield "runtime", manifest.runtime
    yield "artefact", manifest.artefact
    if manifest.prepare is not None:
        yield "prepare", manifest.prepare


def _check_text(given: object, field: Field) -> None:
    if not isinstance(given, str) or not field.allows(given):
        raise PackageInvalid(f"{field.name}: is {given!r:.{_SHOWN}}, and {field.expected} are expected")
