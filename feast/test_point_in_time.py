"""Feast's own historical join over our files: a correction does not leak into what was known."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from feast import FeatureStore, RepoConfig

REPOSITORY = Path(__file__).resolve().parent.parent
PROJECT_PYTHON = os.environ.get("OTC_PYTHON", str(REPOSITORY / ".venv/bin/python"))
CORRECTED = "2025-05-23"
"""The week of Tier 1 that was published on 2025-06-09 and corrected on 2025-07-16."""
KNOWN = pd.Timestamp("2025-07-17 00:00", tz="America/New_York")
"""From when on the correction is known."""
CHANGED = {"FNWL", "PXDT", "PXZT", "QRK.A", "QRK.B", "WXLW", "XGON", "ZLKN"}
VIEW = "weekly_ats_features"
KEYS = ["symbol", "tier", "week"]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the feature files, which the project has written."""
    where = tmp_path_factory.mktemp("feast")
    script = REPOSITORY / "feast/write_features.py"
    subprocess.run([PROJECT_PYTHON, str(script), str(where)], check=True, cwd=where)
    return where


@pytest.fixture(scope="session")
def store(folder: Path) -> FeatureStore:
    """Return the repository's feature store, with its registry and online store in the folder."""
    os.environ["OTC_FEATURES_URL"] = str(folder / "features")
    sys.path.insert(0, str(REPOSITORY / "feast"))
    import repo

    config = yaml.safe_load((REPOSITORY / "feast/feature_store.yaml").read_text())
    config["registry"] = str(folder / "registry.db")
    config["online_store"]["path"] = str(folder / "online.db")
    store = FeatureStore(config=RepoConfig(**config))
    store.apply([repo.symbol, repo.tier, repo.week, repo.weekly_ats_features])
    return store


@pytest.fixture(scope="session")
def rows(folder: Path) -> pd.DataFrame:
    """Return all rows of the files, read by plain pandas."""
    return pd.read_parquet(folder / "features").astype({"week": "str", "tier_slug": "str"})


@pytest.fixture(scope="session")
def features(store: FeatureStore) -> list[str]:
    """Return the names of the view's features."""
    return [feature.name for feature in store.get_feature_view(VIEW).features]


def asked(rows: pd.DataFrame, moment: pd.Timestamp) -> pd.DataFrame:
    """Return every symbol and week that there is, asked for at a moment."""
    return rows[KEYS].drop_duplicates().assign(event_timestamp=moment.tz_convert("UTC"))


def joined(store: FeatureStore, features: list[str], entities: pd.DataFrame) -> pd.DataFrame:
    """Return what Feast knows, by the keys."""
    wanted = [f"{VIEW}:{name}" for name in features]
    answer = store.get_historical_features(entities, wanted).to_df()
    answer = answer.dropna(subset=["is_removed"])  # nothing is known of it yet
    return answer.set_index(KEYS).sort_index()[features]


def plain(rows: pd.DataFrame, features: list[str], moment: pd.Timestamp) -> pd.DataFrame:
    """Return the same by pandas alone: of each key the newest row that was known."""
    known = rows[rows["event_timestamp"] <= moment].sort_values("event_timestamp")
    newest = known.drop_duplicates(KEYS, keep="last")
    return newest.set_index(KEYS).sort_index()[features]


@pytest.mark.parametrize(
    "moment",
    [
        pd.Timestamp("2025-06-09 23:59", tz="America/New_York"),
        pd.Timestamp("2025-06-10 00:00", tz="America/New_York"),
        KNOWN - pd.Timedelta(seconds=1),
        KNOWN,
        pd.Timestamp("2025-12-31", tz="UTC"),
    ],
    ids=str,
)
def test_feast_answers_as_plain_pandas_does(
    store: FeatureStore, rows: pd.DataFrame, features: list[str], moment: pd.Timestamp
) -> None:
    """At each moment, of each symbol and week."""
    answer = joined(store, features, asked(rows, moment))
    expected = plain(rows, features, moment)
    assert len(expected)
    pd.testing.assert_frame_equal(answer, expected, check_dtype=False)


def test_a_correction_does_not_leak(
    store: FeatureStore, rows: pd.DataFrame, features: list[str]
) -> None:
    """A second before it is known there are the old values, and then the new ones."""
    mine = rows[rows["week"] == CORRECTED]
    before = joined(store, features, asked(mine, KNOWN - pd.Timedelta(seconds=1)))
    after = joined(store, features, asked(mine, KNOWN))
    old = mine[mine["event_timestamp"] < KNOWN].set_index(KEYS).sort_index()[features]
    pd.testing.assert_frame_equal(before, old, check_dtype=False)
    volumes = before["volume"].to_frame("before").join(after["volume"].rename("after"))
    changed = volumes[volumes["before"].ne(volumes["after"])]
    assert set(changed.index.get_level_values("symbol")) == CHANGED
    removed = after[after["is_removed"].astype(bool)]
    assert list(removed.index.get_level_values("symbol")) == ["XGON"]
    assert not before["is_removed"].any()


def test_nothing_is_known_before_the_week_is_public(
    store: FeatureStore, rows: pd.DataFrame, features: list[str]
) -> None:
    """The week of 2025-05-23 was public on 2025-06-09, and is known from the end of that day."""
    mine = rows[rows["week"] == CORRECTED]
    moment = pd.Timestamp("2025-06-09 23:59:59", tz="America/New_York")
    assert joined(store, features, asked(mine, moment)).empty


def test_the_online_store_serves_what_is_known_now(store: FeatureStore, rows: pd.DataFrame) -> None:
    """After the correction."""
    store.materialize(pd.Timestamp("2025-01-01", tz="UTC"), pd.Timestamp("2026-01-01", tz="UTC"))
    entity = {"symbol": "PXDT", "tier": "NMS Tier 1", "week": CORRECTED}
    answer = store.get_online_features([f"{VIEW}:volume"], [entity]).to_dict()
    mine = rows[(rows["symbol"] == "PXDT") & (rows["week"] == CORRECTED)]
    assert answer["volume"] == [mine.sort_values("event_timestamp")["volume"].iloc[-1]]


def test_every_feature_of_the_files_is_served(rows: pd.DataFrame, features: list[str]) -> None:
    """All columns but the keys and what says when a row was known."""
    about = {"week_ending", "tier_slug", "as_of_date", "as_of_source"}
    stamps = {"event_timestamp", "created_timestamp"}
    assert set(features) == set(rows) - set(KEYS) - about - stamps
