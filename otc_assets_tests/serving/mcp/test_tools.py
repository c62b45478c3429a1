"""Every tool gives what a function of research gives, in small, over every transport."""

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pandas as pd
import pytest

from otc_assets.cli.output import records
from otc_assets.domain.calendar import today
from otc_assets.research import as_of, facts, history, latest, why
from otc_assets.research.knowledge import plain_store
from otc_assets.research.market import league, movers
from otc_assets.research.symbols import find_symbols
from otc_assets.serving.limits import MAX_ANSWER_BYTES
from otc_assets_tests.conftest import REPOSITORY
from otc_assets_tests.serving.conftest import slice_of
from otc_assets_tests.serving.mcp.conftest import Asker

DAY, WEEK, TIER = "2025-06-25", "2025-05-23", "NMS Tier 1"
SLICE = slice_of(TIER, WEEK)
pytestmark = pytest.mark.filterwarnings("ignore::otc_assets.research.knowledge.UnknownSymbol")
Question = tuple[str, dict[str, Any], Callable[[], pd.DataFrame]]
QUESTIONS: dict[str, Question] = {
    "a symbol": ("find_symbol", {"search": "px"}, lambda: find_symbols("px")),
    "a name": ("find_symbol", {"search": "holdings"}, lambda: find_symbols("holdings")),
    "now": (
        "what_was_known",
        {"symbol": "PXDT"},
        lambda: latest("PXDT").sort_values("week_ending", ascending=False),
    ),
    "on a day": (
        "what_was_known",
        {"symbol": "PXDT", "day": DAY, "week": WEEK, "tier": TIER},
        lambda: as_of(DAY, "PXDT", TIER, WEEK),
    ),
    "dealers": (
        "what_was_known",
        {"symbol": "BABFY", "dataset": "non_ats", "week": WEEK},
        lambda: latest("BABFY", weeks=WEEK, dataset="non_ats"),
    ),
    "a correction": (
        "correction_history",
        {"symbol": "PXDT", "week": WEEK},
        lambda: history("PXDT", weeks=WEEK),
    ),
    "movers": ("top_movers", {"tier": TIER, "limit": 10}, lambda: movers(SLICE)),
    "movers of dealers by dollars, as known": (
        "top_movers",
        {
            "tier": TIER,
            "week": WEEK,
            "day": DAY,
            "by": "total_notional",
            "floor": 5,
            "dataset": "non_ats",
        },
        lambda: movers(SLICE, date.fromisoformat(DAY), "total_notional", 5, dataset="non_ats"),
    ),
    "venues": ("venue_league", {"tier": TIER}, lambda: league(SLICE)),
    "venues as known": (
        "venue_league",
        {"tier": TIER, "week": WEEK, "day": DAY},
        lambda: league(SLICE, date.fromisoformat(DAY)),
    ),
    "coverage": (
        "coverage",
        {"weeks": 3, "dataset": "non_ats"},
        lambda: facts.coverage(plain_store("non_ats", None), today(), 3).sort_values(
            ["week_ending", "tier"], ascending=[False, True]
        ),
    ),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_each_answer_is_that_of_the_python_function(question: str, asker: Asker):
    tool, arguments, expected = QUESTIONS[question]
    answer = asker.answer(tool, **arguments)
    rows = expected()
    shown = json.loads(json.dumps(records(rows.head(arguments.get("limit", 20))), default=str))
    assert answer["rows"] == [{n: row[n] for n in answer["rows"][0]} for row in shown]
    assert shown
    meta = answer["meta"]
    assert (meta["total"], meta["rows"], meta["offset"]) == (len(rows), len(shown), 0)
    assert (meta["more"] is None) == (len(rows) == len(shown))
    assert meta["dataset"] == arguments.get("dataset", "ats")
    newest = {"ats": "2025-07-16", "non_ats": "2025-06-23"}[meta["dataset"]]
    as_of_day = today().isoformat() if tool == "coverage" else newest
    assert meta["as_of"] == arguments.get("day", as_of_day)
    says_it = "week_ending" in answer["rows"][0] or tool == "find_symbol"
    assert meta["about"] == (None if says_it else f"{TIER}, week ending {WEEK}")
    assert "FINRA" in meta["attribution"]
    assert "non-commercial" in meta["licence"]
    assert "shares" in meta["units"]


def test_a_number_is_explained_as_python_does(asker: Asker):
    for day in (None, DAY):
        (found,) = why("PXDT", WEEK, TIER, day)
        answer = asker.answer("explain_number", symbol="PXDT", week=WEEK, tier=TIER, day=day)
        lines = found.contents[-1].lines
        assert [row["text"] for row in answer["rows"]] == [line.text for line in lines]
        told = answer["explanation"]
        assert told["row"]["total_volume"] == found.row["total_volume"]
        assert sum(row["share_volume"] for row in answer["rows"]) == found.row["total_volume"]
        assert told["events_total"] == len(found.events)
        assert len(told["calculations"]) == len(found.calculations)
        assert found.contents[-1].source_sha256 in told["read_from"][-1]


def test_a_tool_says_what_it_does_takes_and_gives(asker: Asker):
    tools = {tool.name: tool for tool in asker.tools()}
    page = (REPOSITORY / "docs/mcp.md").read_text()
    assert set(tools) == {tool for tool, *_ in QUESTIONS.values()} | {"explain_number"}
    for name, tool in tools.items():
        assert f"`{name}`" in page
        assert 80 < len(tool.description) < 500
        arguments = tool.input_schema["properties"].values()
        assert all(argument.get("title") for argument in arguments)
        assert tool.output_schema["required"] == ["meta", "rows"]
        assert tool.annotations.read_only_hint
    assert len(json.dumps([tool.model_dump(mode="json") for tool in tools.values()])) < 40_000


def test_more_rows_are_asked_for_as_an_answer_says(asker: Asker):
    everything = asker.answer("venue_league", tier="OTC", limit=200)
    rows, asked = [], {"tier": "OTC", "limit": 3}
    for _ in range(100):
        answer = asker.answer("venue_league", **asked)
        rows += answer["rows"]
        if (more := answer["meta"]["more"]) is None:
            break
        asked["offset"] = int(more.partition("offset=")[2])
    assert rows == everything["rows"]
    assert len(rows) == everything["meta"]["total"] > 3
    assert asker.answer("venue_league", tier="OTC", offset=10_000)["rows"] == []


def test_the_text_of_an_answer_says_the_same_and_is_no_larger_than_promised(asker: Asker):
    large = [
        ("find_symbol", {"search": "a"}),
        ("top_movers", {"tier": TIER, "floor": 0}),
        ("venue_league", {"tier": TIER}),
        ("what_was_known", {"symbol": "PXDT"}),
        ("explain_number", {"symbol": "PXDT", "week": WEEK}),
        ("coverage", {"weeks": 1_000}),
    ]
    cut = 0
    for tool, arguments in large:
        result = asker.call(tool, **arguments, limit=200)
        (content,) = result.content
        assert len(content.text.encode()) <= MAX_ANSWER_BYTES
        assert json.loads(content.text) == result.structured_content
        meta = result.structured_content["meta"]
        assert meta["rows"] == len(result.structured_content["rows"]) > 0
        assert meta["total"] > 0
        cut += meta["rows"] < min(200, meta["total"])
    assert cut


def test_an_empty_answer_says_why(asker: Asker):
    said = {
        "no symbol 'pxdt' in any week; it has PXDT": ("what_was_known", {"symbol": "pxdt"}),
        "never reported": ("correction_history", {"symbol": "PXDT", "week": "2024-01-05"}),
        "nothing was known": ("what_was_known", {"symbol": "PXDT", "day": "2020-01-01"}),
        "the week before, 2025-05-09, was not known": (
            "top_movers",
            {"tier": TIER, "week": "2025-05-16"},
        ),
        "no such row": ("explain_number", {"symbol": "PXDT", "week": WEEK, "day": "2020-01-01"}),
    }
    for warning, (tool, arguments) in said.items():
        answer = asker.answer(tool, **arguments)
        assert answer["rows"] == []
        assert warning in " ".join(answer["meta"]["warnings"])
    late = asker.answer("what_was_known", symbol="PXDT", day="2999-01-01")
    assert "later than the newest publication" in late["meta"]["warnings"][0]
