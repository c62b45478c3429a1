"""What all tools share: their arguments, the store that they read, and what they warn of.

A tool is a class. Its docstring is what a client reads before it chooses, its fields are the
arguments, and `find` asks `research`.
"""

from collections.abc import Sequence
from datetime import date
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from otc_assets.domain.tables import Column
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.research.knowledge import no_symbol
from otc_assets.research.market import newest_week, slices_known
from otc_assets.research.state import State, state_of
from otc_assets.research.symbols import all_symbols
from otc_assets.serving.arguments import day_of, name, weeks_named
from otc_assets.serving.limits import MAX_TEXT, MAX_TOOL_ROWS, TOOL_ROWS
from otc_assets.serving.mcp.answers import Answer, schema_of, told
from otc_assets.serving.problems import Problem
from otc_assets.serving.stores import store_asked
from otc_assets.warehouse.store import Store

TierName = Literal["NMS Tier 1", "NMS Tier 2", "OTC"]
SymbolName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_TEXT,
        description="A symbol exactly as FINRA writes it, e.g. AAPL; find_symbol finds it.",
    ),
]
Week = Annotated[str, Field(max_length=MAX_TEXT, description="A week by its Friday, YYYY-MM-DD.")]
Day = Annotated[
    str | None,
    Field(
        max_length=MAX_TEXT,
        description="Answer with what was known at the end of this day in New York, YYYY-MM-DD "
        "(default: what is known now).",
    ),
]


class Tool(BaseModel):
    """A question to the store."""

    model_config = ConfigDict(extra="forbid")
    title: ClassVar[str]
    columns: ClassVar[Sequence[Column]]
    lists: ClassVar[Sequence[str]] = ()
    """Columns that are lists of texts."""
    explained: ClassVar[bool] = False
    """Whether an answer has an explanation beside its rows."""

    dataset: Literal["ats", "non_ats"] = Field(
        "ats", description="ats: dark pools; non_ats: dealers (off-exchange, outside of an ATS)."
    )
    limit: int = Field(TOOL_ROWS, ge=1, le=MAX_TOOL_ROWS, description="Rows of the answer.")
    offset: int = Field(0, ge=0, le=10_000_000, description="Rows to skip: see `more`.")

    @classmethod
    def named(cls) -> str:
        """Return the tool's name: that of its class, as tools are written."""
        return "".join(f"_{c.lower()}" if c.isupper() else c for c in cls.__name__).lstrip("_")

    @classmethod
    def output_schema(cls) -> dict[str, Any]:
        """Return the JSON schema of its answers."""
        return schema_of(cls.columns, cls.lists, explained=cls.explained)

    def find(self) -> Answer:
        """Ask the store.

        Raises:
            Problem: an argument is wrong.
            StoreError: the store cannot be read.

        """
        raise NotImplementedError

    def answer(self) -> bytes:
        """Return what the client is sent, as JSON."""
        return told(self.find(), self.dataset, self.columns, self.offset, self.limit)

    @cached_property
    def store(self) -> Store:
        """The store of the dataset, which has content."""
        return store_asked(self.dataset)

    @cached_property
    def state(self) -> State:
        """How its slices stand."""
        return state_of(self.store)

    def known_on(self, day: str | None) -> date | None:
        """Return the last day whose publications are asked for, None for all."""
        return None if day is None else day_of("day", day)

    def found(self, frame: Any, day: date | None, *warnings: str | None) -> Answer:
        """Return an answer as known on a day, with those of some warnings that there are."""
        newest = self.state.newest_day
        said = [warning for warning in warnings if warning]
        if day and newest and day > newest:
            said.append(f"{day} is later than the newest publication in the store, of {newest}")
        return Answer(frame, day or newest, said)

    def checked_symbol(self, symbol: str) -> str | None:
        """Return what is to be said of a symbol that the store does not have."""
        there = all_symbols(self.store, self.state)
        return None if name("symbol", symbol) in there else no_symbol(symbol, there)


def friday(week: str) -> date:
    """Return a week that is a Friday."""
    (found,) = weeks_named([week]) or []
    return found


def slice_asked(dataset: str, tier: Tier, week: str | None, day: date | None) -> WeekKey:
    """Return the slice of a tier and week (default: the newest) that was known on a day.

    Raises:
        Problem: it was not; the weeks that were known are named.

    """
    known = slices_known(dataset, day)
    newest = newest_week(known, tier)
    if newest is None:
        there = ", ".join(dict.fromkeys(each.tier.value for each in known)) or "none"
        raise Problem(422, f"no week of {tier.value} was known; tiers with weeks: {there}", "tier")
    asked = WeekKey(tier, newest if week is None else friday(week))
    if asked not in known:
        oldest = min(each.week_ending for each in known if each.tier == tier)
        detail = f"{asked.week_ending} of {tier.value} was not known; weeks are from {oldest} to "
        raise Problem(422, detail + str(newest), "week")
    return asked
