"""What Dagster loads: the graph, without a warning, and the same from each way in."""

import subprocess
import sys
import tomllib
from pathlib import Path

import dagster as dg
import pytest
import yaml

from otc_assets.assets.partitions import SLICES, partition_key_of, partitions_of, slice_of
from otc_assets.calculations import calculations_of, derived_tables_of, output_tables
from otc_assets.definitions import build_defs, defs
from otc_assets.domain.datasets import DATASETS, EVERY_DATASET, NEIGHBOURS
from otc_assets.domain.tables import RAW
from otc_assets_tests.conftest import REPOSITORY

EIGHT = {
    "raw",
    "venue_volume",
    "symbol_summary",
    "venue_share",
    "rolling_6w",
    "concentration",
    "liquidity_score",
    "research_snapshot",
}


PREFIXES = {"ats": "", "non_ats": "non_ats/"}
"""What stands before the table in the asset keys of each dataset."""

OTHERS = {dataset.name: dataset for dataset in NEIGHBOURS}
"""Those of another grain, which have other tables."""

each_dataset = pytest.mark.parametrize("dataset", PREFIXES)


OF_ALL_SLICES = {"research_page", "venue_registry"}
"""The assets without partitions, which are of all datasets."""


def specs() -> dict[str, dg.AssetSpec]:
    """Every asset of a weekly table; what is FINRA's own is not ours to describe."""
    return {
        spec.key.to_user_string(): spec
        for spec in defs.resolve_all_asset_specs()
        if spec.key.path[0] not in {"finra", *OF_ALL_SLICES} and spec.tags["dataset"] not in OTHERS
    }


OF_SOME_RUNS = {
    "aiohttp",
    "apprise",
    "botocore",
    "celery",
    "dagster_postgres",
    "duckdb",
    "fastapi",
    "jinja2",
    "matplotlib",
    "mcp",
    "opentelemetry",
    "polars",
    "prometheus_client",
    "psycopg",
    "s3fs",
    "uvicorn",
}
"""What a run of files on SQLite, or a part of the platform beside the runs, does without."""


def test_loading_the_assets_imports_nothing_that_only_some_runs_need():
    code = "import sys, otc_assets.definitions; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert "dagster" in imported
    assert not OF_SOME_RUNS & imported


def specs_of(dataset: str) -> dict[str, dg.AssetSpec]:
    """The assets of one dataset, by their tables."""
    mine = {name: spec for name, spec in specs().items() if spec.tags["dataset"] == dataset}
    assert all(name.startswith(PREFIXES[dataset]) for name in mine)
    return {name.removeprefix(PREFIXES[dataset]): spec for name, spec in mine.items()}


def tables_of(dataset: str) -> dict[str, dg.AssetSpec]:
    """The assets of a dataset's tables, without the files that are made of them."""
    return {name: spec for name, spec in specs_of(dataset).items() if name != "features"}


def test_the_datasets_are_those_that_are_declared():
    assert {dataset.name for dataset in DATASETS} == set(PREFIXES)
    assert {spec.tags["dataset"] for spec in specs().values()} == set(PREFIXES)


@each_dataset
def test_there_are_the_eight_assets_and_one_for_each_calculation_that_is_added(dataset: str):
    assert set(tables_of(dataset)) == EIGHT | {table.name for table in output_tables()}


def test_a_definition_of_one_dataset_has_no_asset_of_another():
    for dataset in EVERY_DATASET:
        found = build_defs([dataset]).resolve_all_asset_specs()
        ours = (spec for spec in found if spec.key.path[0] not in OF_ALL_SLICES)
        assert {spec.tags["dataset"] for spec in ours} == {dataset.name}


@pytest.mark.parametrize("name", sorted(specs()))
def test_every_asset_says_what_it_is(name: str):
    spec = specs()[name]
    assert spec.description
    assert spec.owners
    assert {"python", "pandas"} <= spec.kinds
    assert spec.group_name != "default"
    assert spec.code_version
    assert spec.partitions_def == SLICES
    schema = spec.metadata["dagster/column_schema"]
    assert all(column.description for column in schema.columns)


def test_every_dataset_of_another_grain_has_the_assets_of_its_family():
    for dataset in NEIGHBOURS:
        found = {
            spec.key.path[-1]: spec
            for spec in defs.resolve_all_asset_specs()
            if spec.key.path[0] == dataset.name
        }
        tables = {table.name for table in derived_tables_of(dataset)}
        assert set(found) == tables | {"raw", "features"}
        for spec in found.values():
            assert spec.partitions_def == partitions_of(dataset.slicing)
            assert str(spec.group_name).startswith(f"{dataset.name}_")
            assert spec.description


def test_both_datasets_are_in_groups_of_like_names():
    groups: dict[str | None, set[str]] = {}
    weekly = build_defs(DATASETS)
    for spec in weekly.resolve_all_asset_specs():
        groups.setdefault(spec.group_name, set()).add(spec.key.path[-1])
    assert groups.pop("research") == {"features", *OF_ALL_SLICES}
    source, research = {"raw", "venue_volume"}, {"research_snapshot"}
    metrics = (EIGHT | {table.name for table in output_tables()}) - source - research
    assert groups == {
        f"{dataset}_{part}": tables
        for dataset in PREFIXES
        for part, tables in (
            ("source", source | {dataset}),  # what FINRA publishes
            ("metrics", metrics),
            ("research", research),
        )
    }


@each_dataset
def test_the_code_version_is_that_of_the_calculations(dataset: str):
    assert specs_of(dataset)["concentration"].code_version == "v1,v2"
    for table in output_tables():
        versions = ",".join(calc.spec.version for calc in calculations_of(table.name))
        assert specs_of(dataset)[table.name].code_version == versions


def test_every_asset_has_a_check_that_is_partitioned():
    checked = {
        check.asset_key.to_user_string()
        for definition in build_defs(DATASETS).asset_checks or []
        for check in definition.check_specs
        if check.partitions_def == SLICES
    }
    assert checked == set(specs())


def test_a_backfill_of_a_week_asks_for_no_other_week():
    """A window's partition mapping would ask for five weeks more, some of them not yet public."""
    graph = defs.resolve_asset_graph()
    week = SLICES.subset_with_partition_keys(["OTC|2025-06-20"])
    partitioned = [k for k in graph.get_all_asset_keys() if graph.get(k).partitions_def == SLICES]
    for key in partitioned:
        ours = [k for k in graph.get(key).parent_keys if graph.get(k).partitions_def == SLICES]
        for parent in ours:
            mapping = graph.get_partition_mapping(key, parent)
            below = mapping.get_downstream_partitions_for_partitions(week, SLICES, SLICES)
            assert set(below.get_partition_keys()) == {"OTC|2025-06-20"}


def test_partition_keys_and_slices_agree():
    keys = SLICES.get_partition_keys()
    assert keys[0] == "NMS Tier 1|2014-05-16"
    assert all(partition_key_of(slice_of(key)) == key for key in keys[:: len(keys) // 50])


def test_loading_gives_no_warning_of_ours():
    done = subprocess.run(
        [sys.executable, "-W", "error::Warning:otc_assets", "-c", "import otc_assets.definitions"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_both_ways_to_load_name_the_same_location_and_module():
    workspace = yaml.safe_load((REPOSITORY / "workspace.yaml").read_text())
    target = workspace["load_from"][0]["python_module"]
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["dg"]["project"]
    assert target["location_name"] == project["code_location_name"]
    assert target["module_name"] == project["code_location_target_module"]


def test_dg_lists_the_same_assets():
    done = subprocess.run(
        [str(Path(sys.executable).with_name("dg")), "list", "defs", "--json"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(f'"{prefix}{name}"' in done.stdout for prefix in PREFIXES.values() for name in EIGHT)


def test_the_features_are_of_ats_data_and_read_dealers_beside_them():
    assert "features" not in specs_of("non_ats")
    read = {dep.asset_key.to_user_string() for dep in specs_of("ats")["features"].deps}
    assert read == {"research_snapshot", "non_ats/symbol_summary"}


@each_dataset
def test_raw_alone_is_read_from_finra_and_all_else_from_tables_of_its_dataset(dataset: str):
    ours, sources = tables_of(dataset), {}
    for name, spec in ours.items():
        read = {dep.asset_key.to_user_string() for dep in spec.deps}
        assert read
        sources[name] = read - {f"{PREFIXES[dataset]}{table}" for table in ours}
    assert {name: read for name, read in sources.items() if read} == {
        RAW.name: {f"finra/{dataset}"}
    }
