"""When two names are one name in two spellings, and when they have something in common."""

import unicodedata
from functools import lru_cache

LEGAL_FORMS = frozenset(
    {"ag", "and", "co", "company", "corp", "corporation", "inc", "incorporated", "limited", "llc"}
    | {"llp", "lp", "ltd", "na", "plc", "sa", "the"}
)
"""Words that say how a firm is founded, and not who it is: FINRA writes them or leaves them out."""
GENERIC = frozenset(
    {"alternative", "america", "americas", "ats", "block", "book", "capital", "cross", "crossing"}
    | {"dark", "desk", "ecn", "equities", "equity", "execution", "financial", "global", "group"}
    | {"holdings", "international", "liquidity", "market", "markets", "partners", "pool", "us"}
    | {"securities", "services", "system", "systems", "trading", "usa"}
)
"""Words that many venues have in their names: two that share one of them may be strangers."""


def without_mpid(name: str, mpid: str) -> str:
    """Return a name without the MPID that FINRA writes before many; a name that is it stays."""
    first, _, rest = name.partition(" ")
    return rest.strip() or name if first.casefold() == mpid.casefold() else name


def is_same_name(one: str, other: str) -> bool:
    """Tell whether two names differ at most in spelling.

    Case, accents, punctuation, spaces and legal forms (`LEGAL_FORMS`) are spelling; any other
    letter or digit is not: ``SIGMA X2`` is not ``SIGMA X``.
    """
    return one == other or _letters(one) == _letters(other)


def is_related(one: str, other: str) -> bool:
    """Tell whether two names share a word that is no legal form and not `GENERIC`, or all."""
    shared = (_words(one) & _words(other)) - GENERIC
    return bool(shared) or is_same_name(one, other)


@lru_cache(maxsize=4096)
def _letters(name: str) -> str:
    plain = _plain(name)
    kept = [word for word in plain.split() if word not in LEGAL_FORMS]
    return "".join(kept) or plain.replace(" ", "") or name


@lru_cache(maxsize=4096)
def _words(name: str) -> frozenset[str]:
    return frozenset(_plain(name).split()) - LEGAL_FORMS


def _plain(name: str) -> str:
    """Return a name in small letters, its words apart; ``L.L.C.`` and ``Bob's`` are one word."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    kept = (each for each in letters if each not in ".'" and not unicodedata.combining(each))
    return "".join(each if each.isalnum() else " " for each in kept)
