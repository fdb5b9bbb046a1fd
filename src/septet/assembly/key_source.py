"""From settings to the API keys of a server. The parent of its processes holds them, and needs little for it."""

from pathlib import Path
from typing import TYPE_CHECKING

from septet.settings import Access

if TYPE_CHECKING:
    # A server that lets everybody ask does without.
    from septet.access.watched_keys import WatchedKeys


def asks_for_keys(access: Access) -> bool:
    """Whether a request must have a key."""
    return bool(access.api_keys) or access.api_keys_file is not None


def watched_keys(access: Access) -> "WatchedKeys | None":
    """The keys that a request must have one of; None where it needs none.

    Raises:
        SettingsInvalid: the key file cannot be used.
    """
    if not asks_for_keys(access):
        return None
    from septet.access.api_keys import stated_keys
    from septet.access.watched_keys import WatchedKeys

    path = None if access.api_keys_file is None else Path(access.api_keys_file).absolute()
    return WatchedKeys(stated_keys(access.api_keys), path)
