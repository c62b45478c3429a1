"""What a user sets, read from the environment at the moment of use (never at import).

Every setting has a default that works offline. Paths are relative to the working directory.
"""

import os

DEFAULTS = {
    "OTC_DATABASE_URL": "sqlite:///.otc/otc.db",
    "OTC_SOURCE_URL": "fixtures",
    "OTC_ARCHIVE_URL": ".otc/archive",
}
"""Each variable and its default; the README explains them."""


def setting(name: str) -> str:
    """Return a setting: the environment's value, or the default if that is unset or empty."""
    return os.environ.get(name) or DEFAULTS[name]
