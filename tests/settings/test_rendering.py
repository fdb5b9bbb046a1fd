"""Settings as text."""

import tomllib
from pathlib import Path

from septet.settings import Settings
from septet.settings.fields import fields
from septet.settings.rendering import as_markdown, as_toml
from septet.settings.resolution import explain, resolve

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_of_settings_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == as_markdown()


def test_the_page_names_every_setting_with_flag_and_variable() -> None:
    page = as_markdown()
    for field in fields():
        assert f"| `{field.name}` | `--{field.flag}` | `{field.env}` |" in page


def test_printed_settings_give_the_same_settings_again(tmp_path: Path) -> None:
    digests = ["sha256:" + "0a" * 32, "sha256:" + "0b" * 32]
    flags = {"trust": digests, "labels": 'a "b" \\ c', "access_log": True, "timeout_seconds": 0.25, "root_path": "/a"}
    resolved = explain(flags, {"SEPTET_PORT": "81"})
    config = tmp_path / "septet-server.toml"
    config.write_text(as_toml(resolved), encoding="utf-8")
    assert resolve({}, {}, config) == resolved.settings


def test_printed_settings_name_the_source_of_each_value() -> None:
    printed = as_toml(explain({"workers": "2"}, {"SEPTET_PORT": "81"})).splitlines()
    assert "workers = 2  # --workers" in printed
    assert "port = 81  # SEPTET_PORT" in printed
    assert 'host = "127.0.0.1"  # default' in printed
    assert "# name is not set  # default" in printed


def test_printed_settings_mask_secrets(tmp_path: Path) -> None:
    file = tmp_path / "tls.pem"
    file.write_text("")
    env = {"SEPTET_TLS_KEY": str(file), "SEPTET_TLS_CERTIFICATE": str(file), "SEPTET_TLS_KEY_PASSWORD": "s3cret"}
    printed = as_toml(explain({}, env))
    assert "s3cret" not in printed
    assert "# tls_key_password = ********  # SEPTET_TLS_KEY_PASSWORD" in printed
    assert tomllib.loads(printed)["server"]["port"] == Settings().server.port
