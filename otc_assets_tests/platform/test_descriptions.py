"""What the UI says of each asset is true: its key, its idempotency, what refreshes it."""

import re
import shutil
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest

from otc_assets.calculations import output_tables
from otc_assets.definitions import defs
from otc_assets.warehouse.engine import write_transaction
from otc_assets_tests.conftest import FIXTURES
from otc_assets_tests.pipeline import content
from otc_assets_tests.platform.station import Station

DERIVED = [table.name for table in output_tables()]
OF_SLICES = ["raw", *DERIVED, "features"]
EARLIER, LATER = "OTC|2025-05-16", "OTC|2025-05-23"
PUBLISHED, CORRECTED = "2025-06-16", "2025-07-16"
FILES = ("finra_otc_weekly_otc_20250616.csv", "finra_otc_weekly_otc_20250623.csv")
WEEKS_BEFORE = {"rolling_6w": 5, "research_snapshot": 5, "features": 6}
"""What looks back, and how far: six weeks with its own, and in the features six before its own."""

SAID = {
    spec.key.to_user_string(): spec.description or "" for spec in defs.resolve_all_asset_specs()
}


def said(asset: str, heading: str) -> str:
    """Return what the description of an asset says under a heading."""
    (found,) = re.findall(rf"^- \*\*{heading}:\*\* (.+)$", SAID[asset], re.MULTILINE)
    return str(found)


def weeks_before(asset: str) -> int:
    """Return how many weeks before are said to refresh an asset."""
    found = re.search(r"any of the (\d+) weeks before", said(asset, "Refreshed by"))
    return int(found.group(1)) if found else 0


@dataclass(frozen=True)
class State:
    """What there is after a run."""

    store: str
    """The fingerprint of its content, which no run id enters."""
    features: pd.DataFrame
    page: bytes
    writes: dict[str, set[str]]
    """The writes that the rows of each table are of."""


@dataclass
class Story:
    """Runs of two weeks of one tier, and what each of them has left."""

    folder: Path
    station: Station
    states: dict[str, State] = field(default_factory=dict)
    refreshed: set[str] = field(default_factory=set)
    """Of which assets the run of the earlier week's correction has materialized the later week."""

    def run(self, moment: str, selection: list[str] | None = None, *, force: bool = False) -> None:
        config = {"ops": {"raw": {"config": {"force": force}}}}
        done = self.station.run_range(EARLIER, LATER, selection=selection, run_config=config)
        assert done.success
        writes = defaultdict(set)
        for table, batch in self.query("SELECT table_name, batch_id FROM lineage").values:
            writes[table].add(batch)
        self.states[moment] = State(
            content(self.station.warehouse), self.rows("features"), self.page.read_bytes(), writes
        )

    @property
    def page(self) -> Path:
        return self.folder / "page.html"

    def lose_what_is_derived(self) -> None:
        self.tamper(*(f"DELETE FROM {table}_rows" for table in DERIVED))
        for path in self.folder.rglob("*.parquet"):
            path.write_bytes(b"lost")
        self.page.unlink()

    def query(self, sql: str) -> pd.DataFrame:
        with self.station.warehouse.engine.connect() as connection:
            return pd.read_sql(sql, connection)

    def tamper(self, *statements: str) -> None:
        with write_transaction(self.station.warehouse.engine, "a tamperer") as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def correct(self) -> None:
        """Publish one more content of the earlier week, and run that week alone."""
        lines = (self.folder / "source" / FILES[0]).read_text().splitlines()
        fields = lines[1].split("|")
        assert fields[7] == PUBLISHED
        lines[1] = "|".join([*fields[:5], str(int(fields[5]) + 1000), fields[6], CORRECTED])
        (self.folder / "source" / "correction_week_2025-05-16.csv").write_text("\n".join(lines))
        done = self.station.run(partition_key=EARLIER, selection=OF_SLICES)
        assert done.success
        runs = {asset: self.station.newest(asset, LATER).run_id for asset in OF_SLICES}
        self.refreshed = {asset for asset, run_id in runs.items() if run_id == done.run_id}

    def rows(self, asset: str) -> pd.DataFrame:
        if asset != "features":
            return self.query(f"SELECT * FROM {asset}")
        files = sorted(self.folder.rglob("*.parquet"))
        return pd.concat([pd.read_parquet(path) for path in files], ignore_index=True)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Two runs, all that is derived lost between them; raw tampered with; a correction."""
    folder = tmp_path_factory.mktemp("story")
    (folder / "source").mkdir()
    for name in FILES:
        shutil.copy(FIXTURES / name, folder / "source")
    story = Story(folder, Station(folder, folder / "source"))
    story.run("first")
    story.lose_what_is_derived()
    story.run("second")
    story.page.unlink()
    assert story.station.run(["research_page"]).success
    story.tamper("UPDATE raw_rows SET venue_name = issue_name")
    story.run("raw alone", ["raw"])
    story.run("raw with force", ["raw"], force=True)
    story.correct()
    return story


def test_every_asset_says_the_same_four_things():
    for asset in (name for name in SAID if not name.startswith("finra/")):
        for heading in ("Natural key", "Idempotency", "A second run", "Refreshed by"):
            assert said(asset, heading)
    assert all(policy in said("raw", "A second run") for policy in ("`policy`", "`force`"))


def test_both_datasets_say_the_same():
    for table in ("raw", *DERIVED):
        assert SAID[f"non_ats/{table}"] == SAID[table].replace("of ATS data", "of non-ATS data")


@pytest.mark.parametrize("asset", OF_SLICES)
def test_the_natural_key_is_unique_and_complete(story: Story, asset: str):
    key = re.findall(r"`(\w+)`", said(asset, "Natural key"))
    rows = story.rows(asset)
    assert len(rows)
    assert not rows[key].isna().any(axis=None)
    assert not rows.duplicated(key).any()


@pytest.mark.parametrize("asset", ["raw", "research_snapshot", "concentration", "features"])
def test_the_last_part_of_the_key_is_needed(story: Story, asset: str):
    """There are two revisions, two versions, two days of knowledge."""
    *_, last = key = re.findall(r"`(\w+)`", said(asset, "Natural key"))
    last = "source_revision" if asset == "raw" else last
    assert story.rows(asset).duplicated([name for name in key if name != last]).any()


def test_raw_alone_is_input_idempotent_and_all_else_state_idempotent():
    levels = {
        asset: said(asset, "Idempotency")[:2]
        for asset in (*OF_SLICES, "research_page", "venue_registry")
    }
    assert levels.pop("raw") == "L2"
    assert set(levels.values()) == {"L3"}


def test_what_is_state_idempotent_is_written_again_and_is_the_same(story: Story):
    first, second = story.states["first"], story.states["second"]
    assert second.store == first.store
    moment = "created_timestamp"
    assert second.features.drop(columns=moment).equals(first.features.drop(columns=moment))
    assert set(first.features[moment]).isdisjoint(second.features[moment])
    for table in DERIVED:
        assert first.writes[table].isdisjoint(second.writes[table])


def test_the_page_of_an_unchanged_store_has_the_same_bytes(story: Story):
    assert story.states["raw alone"].page == story.states["second"].page


def test_what_is_input_idempotent_is_not_written_again_unless_forced(story: Story):
    first, second, alone, forced = (
        story.states[moment] for moment in ("first", "second", "raw alone", "raw with force")
    )
    assert first.writes["raw"] == second.writes["raw"] == alone.writes["raw"]
    assert alone.store != first.store  # what was tampered with is still there
    assert forced.writes["raw"].isdisjoint(first.writes["raw"])
    assert forced.store == first.store


def test_those_that_look_back_say_how_far():
    assert {asset: weeks for asset in OF_SLICES if (weeks := weeks_before(asset))} == WEEKS_BEFORE


def test_a_correction_refreshes_the_later_week_of_what_says_so_and_of_nothing_else(story: Story):
    assert story.refreshed == {asset for asset in OF_SLICES if weeks_before(asset)}
    metadata = story.station.metadata("rolling_6w", LATER)
    assert metadata["refreshed"] == "an earlier week has changed"
