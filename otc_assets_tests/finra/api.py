"""What FINRA's Query API answers, as its own texts describe it; the HTTP is in `server`."""

import csv
import io
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from otc_assets_tests.finra.world import FIELDS, OtherSet, Record, World, as_json

PARTITION_KEYS = ("weekStartDate", "tierIdentifier")
DEFAULT_LIMIT = 1000
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


def partitions(world: World) -> Reply:
    """The list of partitions; where there are none, a message and no list."""
    content: dict[str, Any] = {"datasetGroup": "otcMarket", "datasetName": "weeklySummary"}
    if not world.parts:
        return document(content | {"message": "No partitions are available"})
    content["partitionFields"] = list(PARTITION_KEYS)
    listed = [{"partitions": [str(part.monday), part.tier]} for part in world.parts]
    return document(content | {"availablePartitions": listed})


def other_partitions(name: str, other: OtherSet) -> Reply:
    """The list of partitions of another set than the weekly one."""
    parts = sorted({tuple(str(record[key]) for key in other.keys) for record in other.records})
    content = {"datasetGroup": "otcMarket", "datasetName": name, "partitionFields": [*other.keys]}
    return document(content | {"availablePartitions": [{"partitions": [*p]} for p in parts]})


def rows(
    world: World,
    query: dict[str, Any],
    max_limit: int,
    *,
    is_json: bool,
    other: OtherSet | None = None,
) -> Reply:
    """A page of the records that a query asks for, oldest week first; or of ``other``'s."""
    offset, limit = int(query.get("offset", 0)), int(query.get("limit", DEFAULT_LIMIT))
    known = [*FIELDS] if other is None else [*other.records[0]]
    if reason := _reason_against(query, offset, known):
        return refusal(400, reason)
    if other is None:
        found = list(_found(world, query))
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


def _found(world: World, query: dict[str, Any]) -> Iterator[Record]:
    equal, ranges = _equal(query), query.get("dateRangeFilters", [])
    for part in world.parts:
        keys = {"weekStartDate": str(part.monday), "tierIdentifier": part.tier}
        if any(equal.get(name, value) != value for name, value in keys.items()):
            continue
        for record in world.records(part, equal.get("summaryTypeCode")):
            if all(record[name] == value for name, value in equal.items()) and all(
                r["startDate"] <= str(record[r["fieldName"]]) <= r["endDate"] for r in ranges
            ):
                yield record


def _csv(page: list[Record]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, page[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(page)
    return text.getvalue()
