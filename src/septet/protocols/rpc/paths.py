"""The paths of every gRPC method, without protobuf: metrics count by them, whether gRPC is served or not."""

from typing import Final

INFERENCE: Final = "inference.GRPCInferenceService"
HEALTH: Final = "grpc.health.v1.Health"
REFLECTION: Final = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")

INFER: Final = f"/{INFERENCE}/ModelInfer"
STREAM_INFER: Final = f"/{INFERENCE}/ModelStreamInfer"
_DESCRIBING: Final = (
    *("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata"),
    *("ModelConfig", "ModelStatistics", "RepositoryIndex"),
)
TEMPLATES: Final = (
    *(INFER, STREAM_INFER),
    *(f"/{INFERENCE}/{method}" for method in _DESCRIBING),
    *(f"/{HEALTH}/{method}" for method in ("Check", "Watch")),
    *(f"/{service}/ServerReflectionInfo" for service in REFLECTION),
)
