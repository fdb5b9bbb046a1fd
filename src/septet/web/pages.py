"""The try-out page: static files that use the public routes only, read from the package."""

from pathlib import Path

STATIC = Path(__file__).parent / "static"
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
SCRIPT = "text/javascript; charset=utf-8"

# Addresses in the page are relative to its folder, so that it works under any prefix. `/docs` and `/` share one.
FILES = {
    "/": "page.html",
    "/docs": "page.html",
    "/static/page.css": "page.css",
    "/static/icon.svg": "icon.svg",
    **{
        f"/static/{name}.js": f"{name}.js"
        for name in ("page", "dom", "models", "card", "form", "panes", "job", "answer", "reference", "service")
    },
}
# For the header of the same name. The page keeps it on its own too, in a meta element.
CONTENT_SECURITY_POLICY = "default-src 'self'; base-uri 'none'; form-action 'none'; object-src 'none'"


def page(path: str) -> tuple[bytes, str] | None:
    """Return the bytes and the content type of what the page has at `path`, or None."""
    name = FILES.get(path)
    if name is None:
        return None
    file = STATIC / name
    return file.read_bytes(), TYPES.get(file.suffix, SCRIPT)
