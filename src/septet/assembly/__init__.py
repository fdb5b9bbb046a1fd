"""The composition root: the only place that knows how a path becomes a running service."""

from septet.assembly.composition import open_service as open_service
from septet.assembly.serving import serve as serve
