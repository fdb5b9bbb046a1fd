"""The file of API keys, as TOML. It holds digests only, so that who reads it cannot ask with what is there.

```toml
[[keys]]
name = "shop"
sha256 = "9f86d081..."       # or a list: the old key beside the new one
requests_per_second = 100.0  # optional
in_flight = 8                # optional
```
"""

import os
import re
import stat
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from septet.access.api_keys import ApiKey
from septet.errors import SettingsInvalid

MOST_KEYS: Final = 1000
MOST_DIGESTS: Final = 8
MOST_FILE_BYTES: Final = 1 << 20
KEY_NAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z"
_Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
_PLACE = re.compile(r"\(at [^)]*\)")

#: What tells one state of a file from another.
FileStamp = tuple[int, int, int, int]


class _FiledKey(msgspec.Struct, forbid_unknown_fields=True):
    name: Annotated[str, Meta(pattern=KEY_NAME_PATTERN)]
    sha256: _Digest | Annotated[list[_Digest], Meta(min_length=1, max_length=MOST_DIGESTS)]
    requests_per_second: Annotated[float, Meta(gt=0, le=1e9)] | None = None
    in_flight: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None


class _KeyFile(msgspec.Struct, forbid_unknown_fields=True):
    keys: Annotated[list[_FiledKey], Meta(max_length=MOST_KEYS)]


def file_stamp(path: Path) -> FileStamp | None:
    """The state of a file; None where it is not there."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size, facts.st_ino


def read_keys(path: Path) -> tuple[ApiKey, ...]:
    """The keys of a file.

    Raises:
        SettingsInvalid: it cannot be read, or is not what it should be; nothing of its content is in the message.
    """
    try:
        filed = msgspec.convert(_read_toml(path), _KeyFile)
    except msgspec.ValidationError as error:
        raise SettingsInvalid(f"the key file {path} is not one: {error}; see docs/access.md.") from None
    found = tuple(_key(each) for each in filed.keys)
    known: set[str] = set()
    for name in (each.name for each in found):
        if name in known:
            raise SettingsInvalid(f"the key file {path} has the name {name!r} twice; list its digests in sha256.")
        known.add(name)
    return found


def check_names(stated: Sequence[ApiKey], filed: Sequence[ApiKey], path: Path) -> None:
    """Refuse a name that the settings and the file both have.

    Raises:
        SettingsInvalid: there is one.
    """
    both = {each.name for each in stated} & {each.name for each in filed}
    if both:
        raise SettingsInvalid(f"the key file {path} has the name {min(both)!r}, which api_keys has too.")


def _key(filed: _FiledKey) -> ApiKey:
    digests = [filed.sha256] if isinstance(filed.sha256, str) else filed.sha256
    return ApiKey(filed.name, tuple(map(bytes.fromhex, digests)), filed.requests_per_second, filed.in_flight)


def _read_toml(path: Path) -> object:
    try:
        # Without waiting, should it be a pipe.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(descriptor, "rb") as file:  # noqa: PTH123 - of a descriptor
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise SettingsInvalid(f"the key file {path} is no file.")
            content = file.read(MOST_FILE_BYTES + 1)
    except OSError as error:
        raise SettingsInvalid(f"the key file {path} cannot be read: {error.strerror or error}.") from None
    if len(content) > MOST_FILE_BYTES:
        raise SettingsInvalid(f"the key file {path} has more than {MOST_FILE_BYTES} bytes.")
    try:
        return tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        # The text of the error may repeat what is there.
        place = _PLACE.search(str(error))
        where = f" {place[0]}" if place else ""
        raise SettingsInvalid(f"the key file {path} is not valid TOML{where}.") from None
