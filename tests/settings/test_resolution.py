"""Which value wins, and what is refused."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from septet.errors import SettingsInvalid
from septet.settings import Settings
from septet.settings.fields import Field, Value, fields
from septet.settings.resolution import explain, resolve

DIGEST = "sha256:" + "0a" * 32


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "septet-server.toml"


def refusal(flags: dict[str, object] | None = None, env: dict[str, str] | None = None, file: Path | None = None) -> str:
    with pytest.raises(SettingsInvalid) as caught:
        resolve(flags or {}, env or {}, file)
    return str(caught.value)


def test_nothing_given_is_the_declared_defaults() -> None:
    resolved = explain({}, {"PATH": "/bin"})
    assert resolved.settings == Settings()
    assert set(resolved.sources.values()) == {"default"}


def test_keys_flags_and_environment_names_are_unique() -> None:
    table = fields()
    assert len({field.key for field in table}) == len({field.flag for field in table}) == len(table)
    assert all(field.env == "SEPTET_" + field.flag.upper().replace("-", "_") for field in table)


@given(
    flag=st.none() | st.integers(0, 65535),
    env=st.none() | st.integers(0, 65535),
    file=st.none() | st.integers(0, 65535),
)
def test_flag_wins_over_environment_over_file_over_default(
    tmp_path_factory: pytest.TempPathFactory, flag: int | None, env: int | None, file: int | None
) -> None:
    path = tmp_path_factory.getbasetemp() / "precedence.toml"
    path.write_text("" if file is None else f"[server]\nport = {file}\n")
    resolved = explain(
        {"port": None if flag is None else str(flag)}, {} if env is None else {"SEPTET_PORT": str(env)}, path
    )
    given_values = [(flag, "--port"), (env, "SEPTET_PORT"), (file, str(path)), (8000, "default")]
    expected = next(pair for pair in given_values if pair[0] is not None)
    assert (resolved.settings.server.port, resolved.sources["server.port"]) == expected


@pytest.mark.parametrize("text", ["False", "false", "0", "no", "NO", "off"])
def test_false_in_the_environment_is_false(text: str) -> None:
    assert resolve({}, {"SEPTET_ACCESS_LOG": text}).logs.access is False


@pytest.mark.parametrize("text", ["True", "true", "1", "yes", "On"])
def test_true_in_the_environment_is_true(text: str) -> None:
    assert resolve({}, {"SEPTET_ACCESS_LOG": text}).logs.access is True


@pytest.mark.parametrize("text", ["", "2", "y", "t", "None", "enabled"])
def test_any_other_text_is_neither_true_nor_false(text: str) -> None:
    assert "expected true or false" in refusal(env={"SEPTET_ACCESS_LOG": text})


def test_an_unknown_flag_is_refused_with_its_likely_name() -> None:
    assert refusal({"prot": "1"}) == "unknown setting 'prot' (did you mean port?)."


def test_an_unknown_variable_is_refused_with_its_likely_name() -> None:
    message = refusal(env={"SEPTET_WORKER": "2"})
    assert message == "unknown setting SEPTET_WORKER in the environment (did you mean SEPTET_WORKERS?)."


def test_an_unknown_variable_unlike_any_is_refused_plainly() -> None:
    assert refusal(env={"SEPTET_QQQQ": "2"}) == "unknown setting SEPTET_QQQQ in the environment."


@pytest.mark.parametrize(
    "env", [{"SEPTET_PORT": "tcp://10.0.0.1:8000"}, {"SEPTET_PORT_8000_TCP": "x"}, {"SEPTET_SERVICE_HOST": "10.0.0.1"}]
)
def test_service_links_of_kubernetes_are_explained(env: dict[str, str]) -> None:
    assert "enableServiceLinks" in refusal(env=env)


def test_an_unknown_key_in_a_file_is_refused_with_its_likely_name(config: Path) -> None:
    config.write_text("[server]\nprot = 1\n")
    assert refusal(file=config) == f"unknown setting server.prot in {config} (did you mean server.port?)."


def test_a_key_in_the_wrong_table_is_told_its_table(config: Path) -> None:
    config.write_text("[server]\nmax_rows = 1\n")
    assert "did you mean limits.max_rows?" in refusal(file=config)


def test_an_unknown_table_is_refused(config: Path) -> None:
    config.write_text("[sever]\nport = 1\n")
    assert refusal(file=config) == f"unknown table [sever] in {config} (did you mean server?)."


def test_a_table_written_as_a_value_is_refused(config: Path) -> None:
    config.write_text("server = 1\n")
    assert "must be a table" in refusal(file=config)


@pytest.mark.parametrize("content", [b"[server\n", b"\xff\xfe", b"a = 1\na = 2\n"])
def test_a_file_that_is_not_toml_is_refused(config: Path, content: bytes) -> None:
    config.write_bytes(content)
    assert f"{config} is not valid TOML" in refusal(file=config)


def test_a_missing_file_is_refused(config: Path) -> None:
    assert f"{config} cannot be read: No such file" in refusal(file=config)


def test_the_environment_may_name_the_file(config: Path) -> None:
    config.write_text("[logs]\nlevel = 'debug'\n")
    assert resolve({}, {"SEPTET_CONFIG": str(config)}).logs.level == "debug"


@pytest.mark.parametrize(
    "line",
    [
        "[server]\nport = '80'",
        "[server]\nport = true",
        "[server]\nport = 80.0",
        "[server]\nport = 1979-05-27",
        "[server]\nhost = 1",
        "[server]\ngrace_seconds = '1'",
        "[server]\ngrace_seconds = nan",
        "[logs]\naccess = 'true'",
        "[logs]\naccess = 1",
        "[model]\nname = []",
        "[model]\ntrust = 'x'",
        "[model]\ntrust = [1]",
    ],
)
def test_a_file_must_hold_the_right_types(config: Path, line: str) -> None:
    config.write_text(line)
    assert str(config) in refusal(file=config)


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        ("port", "-1"),
        ("port", "65536"),
        ("port", "80x"),
        ("port", "8_000"),
        ("port", "1e3"),
        ("port", ""),
        ("port", "9" * 5000),
        ("workers", "0"),
        ("workers", "1025"),
        ("host", ""),
        ("grace_seconds", "0"),
        ("grace_seconds", "inf"),
        ("grace_seconds", "nan"),
        ("grace_seconds", "1e999"),
        ("timeout_seconds", "-1"),
        ("drain_delay_seconds", "-0.1"),
        ("max_rows", "0"),
        ("max_header_bytes", "10"),
        ("log_level", "loud"),
        ("log_format", "JSON"),
        ("root_path", "models"),
        ("root_path", "/models/"),
        ("trust", "sha256:abc"),
        ("trust", f"{DIGEST},all"),
        ("name", "../iris"),
        ("version", "a b"),
        ("tls_key", "/no/such/file"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_name_and_source(flag: str, text: str) -> None:
    message = refusal({flag: text})
    assert f"--{flag.replace('_', '-')}" in message
    assert "expected" in message
    assert len(message) < 300


def test_values_may_be_given_with_their_types() -> None:
    settings = resolve({"port": 80, "access_log": True, "grace_seconds": 2, "trust": [DIGEST], "name": "iris"}, {})
    assert settings.server.port == 80
    assert settings.server.grace_seconds == 2.0
    assert isinstance(settings.server.grace_seconds, float)
    assert settings.logs.access is True
    assert settings.model.trust == (DIGEST,)
    assert settings.model.name == "iris"


def samples(field: Field, folder: Path) -> tuple[str, Value]:
    """A value that no setting has by default, as text and as itself."""
    if field.file:
        file = folder / "file.pem"
        file.write_text("")
        return str(file), str(file)
    if field.choices:
        other = next(choice for choice in field.choices if choice != field.default)
        return other, other
    if field.kind == "bool":
        return "yes", True
    if field.kind in ("int", "float"):
        low = max(field.limits.ge or 0, field.limits.gt or 0)
        return str(low + 1), low + 1
    shaped = {
        "root_path": "/below",
        "unix_socket_mode": "600",
        "trust": DIGEST,
        "middleware": "module:function",
        "route_timeouts": "/v2=0.5",
        "api_keys": "someone=a-key-of-16-chars",
        "cors_origins": "https://app.example.com",
        "allowed_hosts": "*.example.com:8000",
        "sinks": "answers=file:///srv/answers",
        "webhook_secrets": "whsec_" + "A" * 32,
        "webhook_networks": "10.0.0.0/8",
        "webhook_ports": "8443",
    }
    text = shaped.get(field.name, "text")
    return text, (text,) if field.kind == "strings" else text


#: What some settings need beside them.
BESIDE = {
    "tls_certificate": ("tls_key",),
    "tls_key": ("tls_certificate",),
    "tls_key_password": ("tls_certificate", "tls_key"),
    "tls_client_ca": ("tls_certificate", "tls_key"),
    "max_requests_jitter": ("max_requests",),
    "max_timeout_seconds": ("timeout_seconds",),
    "stale_error_days": ("stale_warn_days",),
}


@pytest.mark.parametrize("field", fields(), ids=lambda field: field.key)
def test_every_setting_is_read_from_each_place(field: Field, config: Path, tmp_path: Path) -> None:
    text, value = samples(field, tmp_path)
    beside = [other for other in fields() if other.name in BESIDE.get(field.name, ())]
    more = {other.argument: samples(other, tmp_path)[0] for other in beside}
    literal = {bool: "true", tuple: f"[{text!r}]", str: repr(text)}.get(type(value), text)
    config.write_text(f"[{field.group}]\n{field.name} = {literal}\n")
    for resolved in (
        explain({field.argument: text, **more}, {}),
        explain(more, {field.env: text}),
        explain(more, {}, config),
    ):
        assert getattr(getattr(resolved.settings, field.group), field.name) == value
        changed = {key for key, source in resolved.sources.items() if source != "default"}
        assert changed == {field.key, *(other.key for other in beside)}


def test_the_file_that_is_named_is_read_in_place_of_that_of_the_environment(config: Path, tmp_path: Path) -> None:
    config.write_text("[limits]\nmax_rows = 3\n")
    other = tmp_path / "other.toml"
    other.write_text("[limits]\nmax_rows = 4\nmax_pending = 5\n")
    limits = resolve({}, {"SEPTET_CONFIG": str(other)}, config).limits
    assert (limits.max_rows, limits.max_pending) == (3, Settings().limits.max_pending)
    assert resolve({}, {"SEPTET_CONFIG": ""}) == Settings()


def test_only_the_value_that_wins_is_read(config: Path) -> None:
    config.write_text("[server]\nport = 'http'\n")
    assert resolve({"port": "80"}, {"SEPTET_PORT": "http"}, config).server.port == 80
    assert "SEPTET_PORT" in refusal(env={"SEPTET_PORT": "http"}, file=config)


@pytest.mark.parametrize(
    ("flags", "env", "said"),
    [
        ({"workers": "0"}, {}, "server.workers (--workers) is '0'; expected a whole number from 1 to 1024."),
        ({}, {"SEPTET_GRACE_SECONDS": "soon"}, "(SEPTET_GRACE_SECONDS) is 'soon'; expected a number above 0, at most"),
        ({"middleware": ["nothing"]}, {}, "model.middleware (--middleware) is ['nothing']; expected module:function"),
        ({"log_level": "loud"}, {}, "logs.level (--log-level) is 'loud'; expected one of debug, info, warning, error."),
        ({"tls_key": "/nowhere"}, {}, "server.tls_key (--tls-key) is '/nowhere'; expected the path of a file that"),
        ({"name": "x" * 500}, {}, "x..."),
    ],
)
def test_a_message_names_the_value_its_source_and_what_is_expected(
    flags: dict[str, object], env: dict[str, str], said: str
) -> None:
    assert said in refusal(flags, env)


def test_digests_in_text_are_separated_by_commas() -> None:
    other = "sha256:" + "ff" * 32
    assert resolve({}, {"SEPTET_TRUST": f"{DIGEST}, {other}"}).model.trust == (DIGEST, other)


def test_an_empty_variable_leaves_an_optional_setting_unset() -> None:
    assert resolve({}, {"SEPTET_TLS_KEY": "", "SEPTET_TRUST": ""}) == Settings()


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ({"tls_certificate": "{file}"}, "server.tls_key"),
        ({"tls_key": "{file}"}, "server.tls_certificate"),
        ({"tls_key_password": "s3cret"}, "server.tls_key"),
        ({"max_requests_jitter": "10"}, "server.max_requests"),
        ({"timeout_seconds": "301"}, "limits.max_timeout_seconds"),
        ({"stale_warn_days": "91"}, "model.stale_error_days"),
    ],
)
def test_values_that_contradict_each_other_are_refused(flags: dict[str, str], named: str, config: Path) -> None:
    config.write_text("")
    assert named in refusal({name: text.format(file=config) for name, text in flags.items()})


def test_a_secret_is_in_no_message_and_no_representation(config: Path) -> None:
    config.write_text("[server]\ntls_key_password = 12345678\n")
    message = refusal(file=config)
    assert "12345678" not in message
    assert "***" in message
    config.write_text("")
    flags = {"tls_certificate": str(config), "tls_key": str(config), "tls_key_password": "s3cret"}
    settings = resolve(flags, {})
    assert settings.server.tls_key_password == "s3cret"
    assert "s3cret" not in repr(settings)
