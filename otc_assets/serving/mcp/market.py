"""Tools that are about all symbols or venues of a week: what moved, who traded, what is there."""

from typing import Literal

from pydantic import Field

from otc_assets.domain.calendar import today
from otc_assets.domain.tables import ColumnType
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.research import facts
from otc_assets.research.market import FLOOR, league, movers, slices_known
from otc_assets.research.venues import SHARE
from otc_assets.serving.described import column, columns_of
from otc_assets.serving.mcp.answers import Answer
from otc_assets.serving.mcp.tool import Day, TierName, Tool, Week, slice_asked
from otc_assets.serving.routes.names import NAME
from otc_assets.serving.routes.standing import COVERED

MOVED = [
    column("symbol", ColumnType.TEXT, "As FINRA writes it."),
    column("now", ColumnType.NUMBER, "Shares, or dollars if by total_notional, of the week."),
    column("before", ColumnType.NUMBER, "The same of the week before."),
    column("change", ColumnType.NUMBER, "now - before."),
    column("change_pct", ColumnType.NUMBER, "In percent of before.", nullable=True),
    column("trades", ColumnType.COUNT, "Of the week."),
    column("trades_before", ColumnType.COUNT, "Of the week before."),
]
RANKED = columns_of(
    SHARE,
    NAME,
    column("share_change", ColumnType.NUMBER, "Percentage points gained.", nullable=True),
    column("rank_change", ColumnType.NUMBER, "Places gained.", nullable=True),
    column(
        "came_or_went",
        ColumnType.TEXT,
        "new, returned after a long absence, or gone after this week; null for the others.",
        nullable=True,
    ),
    without=["as_of_date", "source_revision", "record_hash", "tier", "week_ending"],
)


class TopMovers(Tool):
    """The symbols of a tier whose volume changed most against the week before, up or down.

    By shares or dollars, and not by percent, which would show thin symbols; a symbol needs some
    trades in both weeks. One row per symbol.
    """

    title = "Top movers of a week"
    columns = MOVED
    tier: TierName
    week: Week | None = Field(None, description="A week by its Friday (default: the newest).")
    day: Day = None
    by: Literal["total_volume", "total_notional"] = Field(
        "total_volume", description="Shares, or dollars, which FINRA gives for non_ats alone."
    )
    floor: int = Field(FLOOR, ge=0, le=10**9, description="Trades needed in each of both weeks.")

    def find(self) -> Answer:
        """Ask `movers`."""
        day = self.known_on(self.day)
        asked = _slice(self, self.week)
        rows = movers(asked, day, self.by, self.floor, dataset=self.dataset)
        answer = self.found(rows, day, None if len(rows) else self._why_none(asked))
        answer.about = _told(asked)
        return answer

    def _why_none(self, asked: WeekKey) -> str:
        if asked.shifted(-1) not in slices_known(self.dataset, self.known_on(self.day)):
            return f"the week before, {asked.shifted(-1).week_ending}, was not known"
        return "no symbol has the measure and so many trades in both weeks"


class VenueLeague(Tool):
    """The venues of a tier's week by rank: shares, percent of the tier, and what changed.

    One row per venue: the change of its share, in percentage points, and of its rank against the
    week before.
    """

    title = "Venue league of a week"
    columns = RANKED
    tier: TierName
    week: Week | None = Field(None, description="A week by its Friday (default: the newest).")
    day: Day = None

    def find(self) -> Answer:
        """Ask `league`."""
        day = self.known_on(self.day)
        asked = _slice(self, self.week)
        answer = self.found(league(asked, day, dataset=self.dataset), day)
        answer.about = _told(asked)
        return answer


class Coverage(Tool):
    """Which weeks the store has, lacks or doubts; ask before you read much into an empty answer.

    One row per week and tier, the newest first: its state, the number of its revision, a grade from
    A to F, and why it is so.
    """

    title = "Coverage of the store"
    columns = COVERED
    weeks: int = Field(8, ge=1, le=1_000, description="How many weeks, from the newest back.")

    def find(self) -> Answer:
        """Ask `coverage`."""
        rows = facts.coverage(self.store, today(), self.weeks)
        newest_first = rows.sort_values(["week_ending", "tier"], ascending=[False, True])
        return Answer(newest_first, today())


def _slice(tool: TopMovers | VenueLeague, week: str | None) -> WeekKey:
    day, tier = tool.known_on(tool.day), Tier(tool.tier)
    return slice_asked(tool.store.dataset.name, tier, week, day)


def _told(asked: WeekKey) -> str:
    return f"{asked.tier.value}, week ending {asked.week_ending}"
