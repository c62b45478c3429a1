"""What FINRA's Query API answers, as its own texts describe it; the HTTP is in `server`."""

import csv
import io
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from otc_assets_tests.finra.world import FIELDS, HISTORIC, OtherSet, Part, Record, World, as_json

PARTITION_KEYS = ("weekStartDate", "tierIdentifier")
DEFAULT_LIMIT = 1000
HISTORIC_FILTERS = {"historicalWeek", "historicalMonth", "tierIdentifier"}
MAX_OFFSET = 500_000


@dataclass
class Reply:
    """An answer before anything goes wrong with it."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    rows: int = 0


def document(content: Any, status: int = 200) -> Reply:
    """An answer in JSON."""
    return Reply(status, json.dumps(content).encode(), {"Content-Type": "application/json"})


def refusal(status: int, message: str) -> Reply:
    """An error as FINRA words it."""
    content = {
        "statusCode": status,
        "statusDescription": HTTPStatus(status).phrase,
        "requestId": uuid.uuid4().hex,
        "message": message,
    }
    return document(content, status)


def partitions(world: World, set_name: str) -> Reply:
    """The list of a set's partitions; where there are none, a message and no list."""
    if set_name in world.others:
        return _partitions_of(set_name, world.others[set_name])
    content: dict[str, Any] = {"datasetGroup": "otcMarket", "datasetName": set_name}
    parts = world.parts_of(set_name)
    if not parts:
        return document(content | {"message": "No partitions are available"})
    content["partitionFields"] = list(PARTITION_KEYS)
    listed = [{"partitions": [str(part.monday), part.tier]} for part in parts]
    return document(content | {"availablePartitions": listed})


def _partitions_of(name: str, other: OtherSet) -> Reply:
    """The list of partitions of another set than the weekly ones."""
    parts = sorted({tuple(str(record[key]) for key in other.keys) for record in other.records})
    content = {"datasetGroup": "otcMarket", "datasetName": name, "partitionFields": [*other.keys]}
    return document(content | {"availablePartitions": [{"partitions": [*p]} for p in parts]})


def rows(
    world: World, set_name: str, query: dict[str, Any], max_limit: int, *, is_json: bool
) -> Reply:
    """A page of the records that a query asks a set for, oldest week first."""
    offset, limit = int(query.get("offset", 0)), int(query.get("limit", DEFAULT_LIMIT))
    other = world.others.get(set_name)
    known = [*FIELDS] if other is None else [*other.records[0]]
    if set_name == HISTORIC:
        reason = _reason_against_historic(query, offset)
    else:
        reason = _reason_against(query, offset, known)
    if reason:
        return refusal(400, reason)
    if other is None:
        found = list(_found(world, set_name, query))
    else:
        equal = _equal(query)
        found = [r for r in other.records if all(str(r[k]) == v for k, v in equal.items())]
    for name in reversed(query.get("sortFields", [])):
        key = name.lstrip("+-")
        found.sort(key=lambda record: str(record[key]), reverse=name.startswith("-"))
    limit = min(limit, max_limit)
    page = found[offset : offset + limit]
    headers = {
        "Record-Total": str(len(found)),
        "Record-Offset": str(offset),
        "Record-Limit": str(limit),
        "Record-Max-Limit": str(max_limit),
    }
    if not page:
        return Reply(204, b"", headers)
    fields = query.get("fields") or known
    page = [{name: record[name] for name in fields if name in record} for record in page]
    headers["Content-Type"] = "application/json" if is_json else "text/csv"
    body = "[" + ",\n".join(map(as_json, page)) + "]" if is_json else _csv(page)
    return Reply(200, body.encode(), headers, len(page))


def _equal(query: dict[str, Any]) -> dict[str, str]:
    return {f["fieldName"]: str(f["fieldValue"]) for f in query.get("compareFilters", [])}


def _reason_against(query: dict[str, Any], offset: int, known: list[str]) -> str | None:
    filters, ranges = query.get("compareFilters", []), query.get("dateRangeFilters", [])
    if any(f.get("compareType") != "EQUAL" for f in filters):
        return "compareType must be EQUAL"
    if unknown := {f["fieldName"] for f in (*filters, *ranges)} - set(known):
        return f"Unknown field {min(unknown)}"
    if query.get("sortFields") and not _equal(query).keys() >= set(PARTITION_KEYS):
        return f"sortFields needs EQUAL filters on {' and '.join(PARTITION_KEYS)}"
    return f"offset may be {MAX_OFFSET} at most" if offset > MAX_OFFSET else None


def _reason_against_historic(query: dict[str, Any], offset: int) -> str | None:
    """The historic set takes a time and a tier, and nothing else."""
    filters = query.get("compareFilters", [])
    if others := {f["fieldName"] for f in filters} - HISTORIC_FILTERS:
        return f"{HISTORIC} cannot be filtered by {min(others)}"
    for name in ("dateRangeFilters", "domainFilters", "sortFields"):
        if query.get(name):
            return f"{HISTORIC} takes no {name}"
    if any(f.get("compareType") != "EQUAL" for f in filters):
        return "compareType must be EQUAL"
    return f"offset may be {MAX_OFFSET} at most" if offset > MAX_OFFSET else None


def _keys_of(part: Part) -> dict[str, str]:
    """The names by which a query chooses partitions, and what they are of one."""
    return {
        "weekStartDate": str(part.monday),
        "historicalWeek": str(part.monday),
        "historicalMonth": f"{part.monday:%Y-%b}",
        "tierIdentifier": part.tier,
    }


def _found(world: World, set_name: str, query: dict[str, Any]) -> Iterator[Record]:
    equal, ranges = _equal(query), query.get("dateRangeFilters", [])
    for part in world.parts_of(set_name):
        if any(equal.get(name, value) != value for name, value in _keys_of(part).items()):
            continue
        fields = {name: value for name, value in equal.items() if name in FIELDS}
        for record in world.records(part, equal.get("summaryTypeCode")):
            if all(record[name] == value for name, value in fields.items()) and all(
                r["startDate"] <= str(record[r["fieldName"]]) <= r["endDate"] for r in ranges
            ):
                yield record


def _csv(page: list[Record]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, page[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(page)
    return text.getvalue()
