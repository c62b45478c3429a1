"""What a user sets, read from the environment at the moment of use (never at import).

Everything that belongs together lies under one address, the home (`OTC_HOME`): store, archive,
features, page, and Dagster's own runs and events. Each part may be put elsewhere by a setting of
its own. Imports the standard library alone.
"""

import os
import re
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
HOME = "{home}"
"""What stands for the home in a default."""
FOREVER = "forever"
"""In place of a number of weeks."""

DEFAULTS = {
    "OTC_HOME": ".otc/home",
    "OTC_DATABASE_URL": "sqlite:///{home}/otc.db",
    "OTC_SOURCE": "files",
    "OTC_SOURCE_URL": "{home}/source",
    "OTC_ARCHIVE_URL": "{home}/archive",
    "OTC_FEATURES_URL": "{home}/features",
    "OTC_PAGE_URL": "{home}/research.html",
    "OTC_DAGSTER_DIR": "{home}/dagster",
    "FINRA_CLIENT_ID": "",
    "FINRA_CLIENT_SECRET": "",
    "OTC_REQUESTS_PER_SECOND": "10",
    "OTC_RATE_LIMIT_URL": "",
    "OTC_GIGABYTES_PER_MONTH": "10",
    "OTC_FOLLOW_WEEKS": "13",
    "OTC_REREAD_WEEKS": "26",
    "OTC_WEEKS_PER_RUN": "52",
    "OTC_RETAIN_RAW_WEEKS": "104",
    "OTC_RETAIN_VENUE_VOLUME_WEEKS": "260",
    "OTC_API_TOKEN": "",
    "OTC_API_REQUESTS_PER_SECOND": "100",
    "OTC_NOTIFY_URL": "",
    "OTC_UI_URL": "http://localhost:3000",
    "OTC_LOG_FORMAT": "text",
}
"""Each variable and its default; the README explains them."""

ADDRESSES = (
    "OTC_HOME",
    "OTC_SOURCE_URL",
    "OTC_ARCHIVE_URL",
    "OTC_FEATURES_URL",
    "OTC_PAGE_URL",
    "OTC_UI_URL",
)
"""The variables whose values are shown: in errors, logs, messages and in the store."""

PARTS_OF_OLD = ("otc.db", "archive", "features", "research.html", "dagster")
"""What versions before the home kept in `.otc` itself."""
_LOGIN = re.compile(r"://[^/]*:(?!\d+/).*@")
"""A login in an address; not a port before a path with an @ in it."""
MOVING = "moving"
"""Where in `.otc` these parts are, from the first that is moved until all are."""


def project() -> Path:
    """Return the folder to which the default home belongs.

    It is the checkout that this package is part of, wherever Python was started. A package that
    was installed from a wheel is part of none; then it is the user's own folder.
    """
    checkout = PACKAGE.parent
    return checkout if (checkout / "pyproject.toml").is_file() else Path.home()


def home() -> str:
    """Return the address of the home: an absolute path, or an address such as s3://bucket/prefix.

    Raises:
        ValueError: an earlier version has left its files in `.otc`, which have to be moved first,
            or there is a password in the address.

    """
    if named := _named("OTC_HOME"):
        return named.rstrip("/") if is_address(named) else str(Path(named).expanduser().absolute())
    default = project() / DEFAULTS["OTC_HOME"]
    if left := old_parts():
        raise ValueError(
            f"an earlier version has left {', '.join(part.name for part in left)} in "
            f"{default.parent}: run `otc migrate`, which moves them to a home, or set OTC_HOME"
        )
    return str(default)


def old_parts() -> list[Path]:
    """Return what an earlier version has left in `.otc`."""
    folder = project() / ".otc"
    return [part for name in (*PARTS_OF_OLD, MOVING) if (part := folder / name).exists()]


def is_address(url: str) -> bool:
    """Tell whether a text is an address, and no path of this machine."""
    return "://" in url


def setting(name: str) -> str:
    """Return a setting: the environment's value, or the default if that is unset or empty.

    Raises:
        ValueError: the default is part of a home in which it cannot be, or there is a password in
            an address that is shown.

    """
    if name == "OTC_HOME":
        return home()
    if named := _named(name):
        return named
    default = DEFAULTS[name]
    if HOME not in default:
        return default
    if is_address(home()) and name in ("OTC_DATABASE_URL", "OTC_DAGSTER_DIR"):
        needed = "a server's address" if name == "OTC_DATABASE_URL" else "a folder"
        raise ValueError(
            f"OTC_HOME is {home()}, where no database file can be: set {name} to {needed}"
        )
    return default.replace(HOME, home())


def _named(name: str) -> str:
    """Return what the environment has; an address with a password is not even named."""
    value = os.environ.get(name, "")
    if name in ADDRESSES and _LOGIN.search(value):
        raise ValueError(
            f"{name} has a password in it, which would show wherever the address does: leave it "
            "out, and give the login to the file system (AWS_..., ~/.netrc, a key file)"
        )
    return value


def weeks_setting(name: str) -> int | None:
    """Return a setting that is a number of weeks, None if it is ``forever``.

    Raises:
        ValueError: it is neither; the message names the variable.

    """
    text = setting(name)
    if text == FOREVER:
        return None
    if not text.isdecimal() or int(text) == 0:
        raise ValueError(f"{name} must be a number of weeks or {FOREVER!r}, and is {text!r}")
    return int(text)


def number_setting(name: str) -> float:
    """Return a setting that is a positive number.

    Raises:
        ValueError: it is none; the message names the variable.

    """
    text = setting(name)
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number < float("inf"):
        raise ValueError(f"{name} must be a positive number, and is {text!r}")
    return number
