"""A signature as TensorFlow Serving describes one: the `SignatureDef` of `GET /v1/models/{model}/metadata`.

It is the JSON form of a protobuf message, in which integers of 64 bits are texts.
"""

from typing import Any, Final

from septet.model.moments import is_moment
from septet.model.signature import DTYPES, Signature, Tensor
from septet.types import Identity

DEFAULT: Final = "serving_default"
#: TensorFlow's names, by the signature's dtype.
DATATYPES: Final[dict[str, str]] = {
    "bool": "DT_BOOL",
    "uint8": "DT_UINT8",
    "uint16": "DT_UINT16",
    "uint32": "DT_UINT32",
    "uint64": "DT_UINT64",
    "int8": "DT_INT8",
    "int16": "DT_INT16",
    "int32": "DT_INT32",
    "int64": "DT_INT64",
    "float16": "DT_HALF",
    "float32": "DT_FLOAT",
    "float64": "DT_DOUBLE",
    "string": "DT_STRING",
    "bytes": "DT_STRING",
    **{dtype: "DT_STRING" for dtype in DTYPES if is_moment(dtype)},
}


def model_metadata(identity: Identity, signature: Signature) -> dict[str, Any]:
    """The body of a metadata answer: one signature, by the default name."""
    known = {
        "inputs": {tensor.name: _info(tensor) for tensor in signature.inputs},
        "outputs": {tensor.name: _info(tensor) for tensor in signature.outputs},
        "method_name": "tensorflow/serving/predict",
    }
    return {
        "model_spec": {"name": identity.name, "signature_name": "", "version": identity.version},
        "metadata": {"signature_def": {"signature_def": {DEFAULT: known}}},
    }


def _info(tensor: Tensor) -> dict[str, Any]:
    sizes = [{"size": "-1" if size is None else str(size), "name": ""} for size in tensor.shape]
    return {
        "dtype": DATATYPES[tensor.dtype],
        "tensor_shape": {"dim": sizes, "unknown_rank": False},
        "name": tensor.name,
    }
