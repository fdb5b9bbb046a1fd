"""The model behind every rival: one ONNX Runtime session with one thread, from the file that MODEL names."""

import os

import onnxruntime


def make_session() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
