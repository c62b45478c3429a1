"""Nothing that stands in a URL or in the store becomes markup, a script or a path."""

import re
from pathlib import Path

import httpx
import pytest

from otc_assets_tests.explorer.tables import Page
from otc_assets_tests.serving.conftest import serving

VIEWS = [
    "/",
    "/search?q=a",
    "/symbol/FNWL",
    "/symbol/FNWL?as_of=2025-07-15",
    "/venue/ABCD",
    "/week/nms_tier_1/2025-05-23",
    "/coverage",
    "/symbol/nothing",
    "/?as_of=never",
]
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}


@pytest.fixture(scope="module")
def store_url(judged_home: Path) -> str:
    """On SQLite alone: templates and headers know of no database."""
    return f"sqlite:///{judged_home / 'otc.db'}"


@pytest.mark.parametrize("view", VIEWS)
def test_no_page_has_a_script_a_style_or_a_handler_of_its_own(site: httpx.Client, view: str):
    answer = site.get(view)
    stated = dict(
        part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";")
    )
    assert POLICY.items() <= stated.items()
    assert answer.headers["x-content-type-options"] == "nosniff"
    for tag, given in Page(answer.text).tags:
        assert tag not in ("style", "iframe", "object", "embed", "base")
        assert tag != "script" or (given.get("src") or "").startswith("/static/")
        assert not [name for name in given if name.startswith("on") or name == "style"]
        for name in ("href", "src", "action"):
            assert not (given.get(name) or "").startswith(("http", "//", "javascript"))


@pytest.mark.parametrize(
    "path",
    ["/static/nothing", "/symbol/%00", "/week/otc/2025-05-23?page=-1",
     "/?floor=1e400", "/?as_of=2025-07-15T10:00", "/search?q=" + "a" * 201, "/venue/" + "v" * 3000],
)  # fmt: skip
def test_what_cannot_be_asked_is_said_on_a_page(site: httpx.Client, path: str):
    answer = site.get(path)
    assert answer.status_code in (404, 422)
    assert answer.headers["content-type"].startswith("text/html")


def test_a_page_is_not_sent_twice(site: httpx.Client):
    first = site.get("/symbol/FNWL")
    again = site.get("/symbol/FNWL", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "script-src 'self'" in again.headers["content-security-policy"]  # it replaces the page's
    other = site.get(
        "/symbol/FNWL?as_of=2025-07-15", headers={"If-None-Match": first.headers["etag"]}
    )
    assert other.status_code == 200


def test_what_a_browser_may_keep_has_its_version_in_its_address(site: httpx.Client):
    text = site.get("/").text
    for name in ("look.css", "explorer.js"):
        (path,) = re.findall(rf'"(/static/{name}\?v=\w+)"', text)
        assert "immutable" in site.get(path).headers["cache-control"]


def test_an_empty_store_says_what_to_do(migrated_file: Path, tmp_path: Path, site: httpx.Client):
    del site  # which has settings of its own
    (tmp_path / "otc.db").write_bytes(migrated_file.read_bytes())
    with serving(OTC_HOME=str(tmp_path)) as client:
        answer = client.get("/")
    assert answer.status_code == 503
    assert "OTC_SOURCE_URL" in answer.text


def test_with_a_token_a_browser_asks_for_it(judged_home: Path):
    token = "a-token-of-24-characters"
    with serving(OTC_HOME=str(judged_home), OTC_API_TOKEN=token) as client:
        refused = client.get("/", headers={"Accept": "text/html,*/*"})
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Basic")
        assert client.get("/", auth=("anyone", token)).status_code == 200
        assert client.get("/", auth=("anyone", "another")).status_code == 401
