"""The asset writes the registry as it is known now, and its check tells what is news."""

from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from otc_assets.assets.platform import Platform
from otc_assets.assets.venues import REGISTRY
from otc_assets.checks.venues import NAME
from otc_assets.definitions import build_defs
from otc_assets.research import venue_registry


def run(url: str, folder: Path) -> dg.ExecuteInProcessResult:
    platform = Platform(database_url=url, features_url=str(folder / "features"))
    job = build_defs(platform=platform).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(asset_selection=[REGISTRY])


@pytest.fixture(scope="module")
def done(sqlite_history: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, object]:
    folder = tmp_path_factory.mktemp("asset")
    return folder, run(sqlite_history, folder)


def test_the_file_has_the_rows_that_python_gives(done, sqlite_history: str):
    folder, result = done
    rows = pd.read_csv(folder / "features" / "_venue_registry.csv", dtype={"venue": str})
    expected = venue_registry(database_url=sqlite_history)
    assert list(rows.columns) == list(expected.columns)
    for name in ("venue", "name", "valid_from", "began_as", "successor_confidence"):
        assert rows[name].astype("str").tolist() == expected[name].astype("str").tolist()
    (event,) = result.asset_materializations_for_node("venue_registry")
    assert event.metadata["dagster/row_count"].value == len(expected)


def test_the_check_warns_of_what_is_new_and_counts_it(done):
    (found,) = (each for each in done[1].get_asset_check_evaluations() if each.check_name == NAME)
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.WARN
    assert found.description == "BACK is returned"
    counts = {name: found.metadata[name].value for name in ("ats_returned", "ats_new", "ats_gone")}
    assert counts == {"ats_returned": 1, "ats_new": 0, "ats_gone": 0}
    assert found.metadata["dealer_news"].value == 1


def test_of_an_empty_store_nothing_is_written_and_nothing_is_news(sqlite_url: str, tmp_path: Path):
    result = run(sqlite_url, tmp_path)
    assert result.success
    assert not (tmp_path / "features" / "_venue_registry.csv").exists()
    assert all(each.passed for each in result.get_asset_check_evaluations())
