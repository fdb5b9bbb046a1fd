"""The page's files: all there, of the right type, and asking nothing of anybody else."""

import re

import pytest

from septet.web.pages import CONTENT_SECURITY_POLICY, FILES, STATIC, page


def text(path: str) -> str:
    found = page(path)
    assert found is not None
    return found[0].decode()


def test_the_root_and_docs_are_one_page() -> None:
    assert page("/") == page("/docs")


@pytest.mark.parametrize("path", FILES)
def test_every_file_is_in_the_package(path: str) -> None:
    found = page(path)
    assert found is not None
    assert found[0]


def test_every_file_of_the_package_has_a_path() -> None:
    assert {file.name for file in STATIC.iterdir()} == set(FILES.values())


@pytest.mark.parametrize(
    ("path", "media"),
    [("/docs", "text/html"), ("/static/page.css", "text/css"), ("/static/page.js", "text/javascript")],
)
def test_content_types_let_a_strict_browser_use_the_files(path: str, media: str) -> None:
    found = page(path)
    assert found is not None
    assert found[1] == f"{media}; charset=utf-8"


@pytest.mark.parametrize("path", ["/static/", "/static/../pages.py", "/docs/", "/static/page.html", ""])
def test_other_paths_have_no_page(path: str) -> None:
    assert page(path) is None


@pytest.mark.parametrize("path", FILES)
def test_no_file_names_another_host(path: str) -> None:
    hosts = re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]+", text(path))
    assert set(hosts) <= {"http://www.w3.org"}


def test_every_address_in_the_page_is_relative_and_served() -> None:
    addresses = re.findall(r'(?:src|href)="([^"#]+)"', text("/docs"))
    assert addresses
    assert {f"/{address}" for address in addresses} <= {*FILES, "/openapi.json"}


@pytest.mark.parametrize("path", [path for path in FILES if path.endswith(".js")])
def test_every_module_that_is_imported_is_served(path: str) -> None:
    assert {f"/static/{name}" for name in re.findall(r'from "\./([^"]+)"', text(path))} <= set(FILES)


def test_the_page_keeps_the_policy_on_its_own() -> None:
    html = text("/docs")
    assert f'content="{CONTENT_SECURITY_POLICY}"' in html
    assert not re.search(r"<script(?![^>]*src=)|style=|\son[a-z]+=", html)
