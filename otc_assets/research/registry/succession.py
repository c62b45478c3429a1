"""Which venue went on as which: one that ends as another begins, with most of its symbols.

Pure: rows in, rows out. An interval is named by its number among the rows of one dataset, which are
by venue and first week.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from otc_assets.research.registry.intervals import Row, joined
from otc_assets.research.registry.lives import FOLD
from otc_assets.research.registry.overlaps import confidence

MOST = 50.0
"""Percent of a venue's symbols that its successor has to trade: most of them."""
SUCCESSOR = ("successor", "successor_confidence", "successor_evidence")
PREDECESSOR = ("predecessor", "predecessor_confidence", "predecessor_evidence")
Pair = tuple[int, int]
"""The numbers of two intervals, the earlier one first."""
Claim = tuple[str | None, float | None, dict[str, Any]]
"""Who, how sure that is in percent, and why."""
NONE: Claim = (None, None, {})


def pairs(rows: Sequence[Row], known: Iterable[date]) -> list[Pair]:
    """Return the pairs of intervals whose symbols are to be compared.

    Those of which the first is gone and the second begins in the same week or the next known one,
    and lasts longer; and each interval with the next one of its venue.
    """
    place = {week: at for at, week in enumerate(sorted(set(known)))}
    begins: dict[int, list[int]] = {}
    for new, row in enumerate(rows):
        if row["began_as"] in ("new", "reused") and row["venue"] != FOLD:
            begins.setdefault(place[row["valid_from"]], []).append(new)
    found = []
    for old, row in enumerate(rows):
        if row["ended_as"] == "gone":
            at = place[row["last_week"]]
            later = [*begins.get(at, []), *begins.get(at + 1, [])]
            found += [(old, new) for new in later if _outlasts(rows[new], row)]
    numbers = range(1, len(rows))
    return found + [(at - 1, at) for at in numbers if _is_one_venue(rows, at - 1, at)]


def _outlasts(new: Row, old: Row) -> bool:
    return bool(new["venue"] != old["venue"] and new["last_week"] > old["last_week"])


def _is_one_venue(rows: Sequence[Row], one: int, other: int) -> bool:
    return bool(rows[one]["venue"] == rows[other]["venue"])


def with_successors(rows: Sequence[Row], overlaps: Mapping[Pair, dict[str, Any]]) -> list[Row]:
    """Return intervals with `SUCCESSOR` and `PREDECESSOR`, given what pairs of them share.

    Of several that begin with most of its symbols, the one that is surest is the successor. What
    two intervals of one venue share is added to the evidence of how the second began.
    """
    found = [dict(row) for row in rows]
    best: dict[int, int] = {}
    for (old, new), shared in overlaps.items():
        if _is_one_venue(rows, old, new):
            found[new]["began_evidence"] = rows[new]["began_evidence"] | shared
        elif shared and shared["pct_kept"] >= MOST:
            both = new, best.get(old, new)
            best[old] = max(both, key=lambda at: (confidence(overlaps[old, at]), -at))
    claims: dict[int, Claim] = {}
    for old, new in best.items():
        weeks = {"ended": str(rows[old]["last_week"]), "began": str(rows[new]["valid_from"])}
        shared = overlaps[old, new]
        claims[old] = rows[new]["venue"], confidence(shared), weeks | shared
    return with_claims(found, claims)


def with_claims(rows: Sequence[Row], claims: Mapping[int, Claim]) -> list[Row]:
    """Return intervals with `SUCCESSOR` as claimed, by number, and `PREDECESSOR` accordingly."""
    before: dict[int, list[Claim]] = {}
    for old, (venue, sure, facts) in sorted(claims.items()):
        if (new := successor_of(rows, old, venue)) is not None:
            before.setdefault(new, []).append((rows[old]["venue"], sure, facts))
    found = []
    for at, row in enumerate(rows):
        after = dict(zip(SUCCESSOR, claims.get(at, NONE), strict=True))
        earlier = dict(zip(PREDECESSOR, _merged(before.get(at, [])), strict=True))
        found.append(row | after | earlier)
    return found


def _merged(found: Sequence[Claim]) -> Claim:
    """Return several claims as one: as sure as the least sure, with the evidence of each."""
    if len(found) < 2:
        return found[0] if found else NONE
    evidence = {str(venue): facts for venue, _, facts in found}
    return joined(evidence), min(sure or 0.0 for _, sure, _ in found), evidence


def successor_of(rows: Sequence[Row], old: int, venue: str | None) -> int | None:
    """Return the number of a successor's interval: its first that outlasts the old one."""
    mine = (at for at, row in enumerate(rows) if row["venue"] == venue)
    return next((at for at in mine if _outlasts(rows[at], rows[old])), None)


def owners(rows: Sequence[Row], sure: float) -> list[str]:
    """Return to whom each interval belongs: the venue at the end of its chain.

    A chain goes on with another name, a return, and a successor of at least ``sure`` percent. Where
    it ends with an interval after which the MPID was used again, its last week is added.
    """
    following = [_following(rows, at, sure) for at in range(len(rows))]
    newest = {row["venue"]: at for at, row in enumerate(rows)}
    found = []
    for at in range(len(rows)):
        end = at
        while (after := following[end]) is not None:
            end = after
        venue = str(rows[end]["venue"])
        last = f"{venue} until {rows[end]['last_week']}"
        found.append(venue if newest[venue] == end else last)
    return found


def _following(rows: Sequence[Row], at: int, sure: float) -> int | None:
    goes_on = at + 1 < len(rows) and _is_one_venue(rows, at, at + 1)
    if goes_on and rows[at + 1]["began_as"] in ("renamed", "returned"):
        return at + 1
    is_sure = (rows[at]["successor_confidence"] or 0.0) >= sure
    return successor_of(rows, at, rows[at]["successor"]) if is_sure else None
