"""What a user sets, read from the environment at the moment of use (never at import).

Every setting has a default; without any, the platform works offline. Paths are relative to the
working directory.
"""

import os

DEFAULTS = {
    "OTC_DATABASE_URL": "sqlite:///.otc/otc.db",
    "OTC_SOURCE": "files",
    "OTC_SOURCE_URL": "fixtures",
    "OTC_ARCHIVE_URL": ".otc/archive",
    "OTC_PAGE_URL": ".otc/research.html",
    "OTC_FEATURES_URL": ".otc/features",
    "FINRA_CLIENT_ID": "",
    "FINRA_CLIENT_SECRET": "",
    "OTC_REQUESTS_PER_SECOND": "10",
    "OTC_FOLLOW_WEEKS": "13",
    "OTC_REREAD_WEEKS": "26",
}
"""Each variable and its default; the README explains them."""


def setting(name: str) -> str:
    """Return a setting: the environment's value, or the default if that is unset or empty."""
    return os.environ.get(name) or DEFAULTS[name]


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
