"""The tests judge what users install: the built wheel, not the source tree."""

import importlib.metadata
import os
from pathlib import Path

import pytest

import septet


@pytest.mark.skipif(os.environ.get("TEST_WHEEL") != "1", reason="scripts/test sets it when it tests the wheel")
def test_the_package_under_test_comes_from_the_installed_wheel() -> None:
    assert septet.__file__ is not None
    assert "site-packages" in Path(septet.__file__).parts


def test_the_wheel_carries_its_licence_and_its_types() -> None:
    files = importlib.metadata.files("septet") or []
    assert any(file.name == "LICENSE" for file in files)
    if os.environ.get("TEST_WHEEL") == "1":
        assert any(file.name == "py.typed" for file in files)


def test_the_core_declares_at_most_eight_dependencies() -> None:
    core = [line for line in importlib.metadata.requires("septet") or [] if "extra ==" not in line]
    assert len(core) <= 8, core
