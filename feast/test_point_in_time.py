"""Feast's own historical join over our files: a correction does not leak into what was known.

The repository is used as a user uses it: its feature_store.yaml, with OTC_HOME set.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from feast import FeatureStore

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
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a home with the feature files, and one of a month among them, which is set."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("OTC_FEATURES_URL", raising=False)
        patch.setenv("OTC_HOME", str(folder / "untouched"))
        script = REPOSITORY / "feast/write_features.py"
        subprocess.run([PROJECT_PYTHON, str(script), str(folder)], check=True, cwd=folder)
        patch.setenv("OTC_HOME", str(folder))
        place = folder / "features/_ats_blocks/period=2025-05-01"  # where a month's file lies
        place.mkdir(parents=True)
        pd.DataFrame({"month": ["2025-05-01"]}).to_parquet(place / "features.parquet")
        yield folder


@pytest.fixture(scope="session")
def store(home: Path) -> FeatureStore:
    """Return the repository's feature store, in the home."""
    sys.path.insert(0, str(REPOSITORY / "feast"))
    import repo

    store = FeatureStore(str(REPOSITORY / "feast"))
    store.apply([repo.symbol, repo.tier, repo.week, repo.weekly_ats_features])
    return store


@pytest.fixture(scope="session")
def rows(home: Path) -> pd.DataFrame:
    """Return all rows of the files, read by plain pandas."""
    return pd.read_parquet(home / "features").astype({"week": "str", "tier_slug": "str"})


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


def test_what_feast_keeps_lies_in_the_home(home: Path, store: FeatureStore) -> None:
    """And the files are read from there; what wrote them has touched no home."""
    import repo

    store.get_feature_view(VIEW)
    assert (home / "feast/registry.db").is_file()
    assert store.config.online_store.path == str(home / "feast/online.db")
    assert repo.features_url() == str(home / "features")
    assert not (home / "untouched").exists()


UNFIT = "set OTC_HOME to the absolute path of a folder"


def test_without_a_home_apply_says_so_and_writes_nothing() -> None:
    """Feast leaves the name of what is not set as it is, and would make a folder of that name."""
    before = sorted((REPOSITORY / "feast").rglob("*"))
    environment = {name: value for name, value in os.environ.items() if name != "OTC_HOME"}
    done = subprocess.run(
        [Path(sys.executable).with_name("feast"), "-c", str(REPOSITORY / "feast"), "apply"],
        env=environment | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert UNFIT in done.stderr
    assert sorted((REPOSITORY / "feast").rglob("*")) == before


@pytest.mark.parametrize("unfit", ["", ".otc/demo", "s3://bucket/home"])
def test_what_is_no_absolute_path_is_refused_as_a_home(
    unfit: str, store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Feast would take a relative path from its own folder, and SQLite needs a folder."""
    import repo

    monkeypatch.setenv("OTC_HOME", unfit)
    with pytest.raises(ValueError, match=UNFIT):
        repo.features_url()


def test_the_files_may_lie_elsewhere(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the setting says; a relative folder is one of the repository."""
    import repo

    for url, path in (("s3://bucket/f", "s3://bucket/f"), ("f", str(REPOSITORY / "f"))):
        monkeypatch.setenv("OTC_FEATURES_URL", url)
        assert repo.features_url() == path
