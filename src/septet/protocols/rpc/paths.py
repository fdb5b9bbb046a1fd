"""The names of gRPC's services, and of the methods that predict; without protobuf."""

from typing import Final

INFERENCE: Final = "inference.GRPCInferenceService"
HEALTH: Final = "grpc.health.v1.Health"
REFLECTION: Final = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")

INFER: Final = f"/{INFERENCE}/ModelInfer"
STREAM_INFER: Final = f"/{INFERENCE}/ModelStreamInfer"
