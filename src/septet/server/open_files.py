"""How many files, sockets among them, the processes of a server may have open at once."""

import logging
import sys

from septet.errors import StartupError

if sys.platform != "win32":
    import resource

logger = logging.getLogger("septet.server")

# For standard streams, event loop, pipes, and the modules and files that are open for a moment while a model is loaded.
OWN_FILES = 24
# For callers, where the limit is at its lowest.
LEAST_CONNECTIONS = 4


def allow_open_files(sockets: int, workers: int, max_connections: int) -> None:
    """Raise the limit of this process to what the system allows it, and say where that is little.

    `sockets` are those that all processes share; `max_connections` those that a worker may have.

    Raises:
        StartupError: a server cannot run with so few.
    """
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (ValueError, OSError):  # macOS has a limit below its hard one
            logger.debug("the limit of %d open files cannot be raised to %d", soft, hard)
    if soft == resource.RLIM_INFINITY:
        return
    own = OWN_FILES + sockets + workers
    if soft < own + LEAST_CONNECTIONS:
        raise StartupError(
            f"only {soft} files may be open at once, and this server needs at least {own + LEAST_CONNECTIONS}: "
            "allow more with `ulimit -n`"
        )
    if soft < own + max_connections:
        logger.warning(
            "only %d files may be open at once: a worker has room for about %d connections, not for %d; "
            "allow more with `ulimit -n`",
            soft,
            soft - own,
            max_connections,
        )
