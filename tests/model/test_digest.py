import hashlib
from pathlib import Path

from septet.model.digest import bytes_digest, file_digest, identity_digest


def test_a_files_digest_is_its_sha_256(tmp_path: Path) -> None:
    data = bytes(range(256)) * 5000
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    assert file_digest(path) == bytes_digest(data) == hashlib.sha256(data).hexdigest()


def test_an_identity_carries_the_algorithm() -> None:
    assert identity_digest("ab" * 32) == "sha256:" + "ab" * 32
