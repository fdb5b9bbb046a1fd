"""The bodies that a route of rows takes, by content type, as OpenAPI has them: those of `codecs.body_formats`."""

from typing import Final

from septet.model.signature import Signature
from septet.protocols.codecs import examples
from septet.protocols.codecs.body_formats import CSV_ROWS, JSON_ROWS, NPY_ARRAY, ONE_VALUE, BodyFormat, readable
from septet.protocols.openapi.schema_nodes import Node
from septet.types import Tensors

_OCTETS: Final[Node] = {"schema": {"type": "string", "format": "binary"}}
_TEXTS: Final[dict[BodyFormat, str]] = {
    CSV_ROWS: "CSV needs a header row of column names.",
    NPY_ARRAY: "Binary bodies are one .npy array, rows on axis 0.",
    ONE_VALUE: "Any other body is the value of one row itself.",
}


def body_content(signature: Signature, sample: Tensors | None, json: Node) -> Node:
    """Write the content of each type; `json` is that of JSON."""
    text = None if sample is None else examples.csv_text(signature, sample)
    written: dict[BodyFormat, Node] = {
        JSON_ROWS: json,
        CSV_ROWS: {"schema": {"type": "string"}, **({} if text is None else {"example": text})},
        NPY_ARRAY: _OCTETS,
        ONE_VALUE: _OCTETS,
    }
    formats = readable(signature)
    return {media.decode(): written[each] for each in formats for media in each.media_types if media}


def body_texts(signature: Signature) -> str:
    """Say what is to know of the types but JSON; every sentence begins with a space."""
    return "".join(f" {_TEXTS[each]}" for each in readable(signature) if each in _TEXTS)
