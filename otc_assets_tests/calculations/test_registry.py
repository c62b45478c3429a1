import importlib
import re
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given, settings

from otc_assets.calculations import (
    Calculation,
    all_calculations,
    calculations_of,
    get_calculation,
    output_tables,
    tables_of,
)
from otc_assets.domain.datasets import EVERY_DATASET
from otc_assets.domain.tables import RAW
from otc_assets_tests.calculations.chain import chains

LABELS = [calc.spec.label for calc in all_calculations()]

each_calculation = pytest.mark.parametrize(
    "calc", all_calculations(), ids=lambda calc: calc.spec.label
)


def test_the_calculations_of_the_design_are_there():
    assert set(LABELS) >= {
        "venue_volume_v1",
        "symbol_summary_v1",
        "venue_share_v1",
        "rolling_6w_v1",
        "concentration_v1",
        "concentration_v2",
        "liquidity_score_v1",
        "research_snapshot_v1",
    }
    assert len(LABELS) == len(set(LABELS))


def test_a_calculation_is_found_by_its_version():
    assert get_calculation("concentration", "v1").spec.label == "concentration_v1"
    assert get_calculation("concentration", "v2").spec.label == "concentration_v2"


def test_without_a_version_the_newest_is_meant():
    assert get_calculation("concentration").spec.version == "v2"
    assert get_calculation("rolling_6w").spec.version == "v1"


def test_an_unknown_name_is_refused_with_the_names_there_are():
    with pytest.raises(KeyError, match="no calculation 'hhi'") as refused:
        get_calculation("hhi")
    assert all(calc.spec.name in str(refused.value) for calc in all_calculations())


def test_an_unknown_version_is_refused_with_the_versions_there_are():
    with pytest.raises(KeyError, match="no version 'v9' of concentration; there are v1, v2"):
        get_calculation("concentration", "v9")


def test_versions_of_a_table_are_given_oldest_first():
    assert [calc.spec.version for calc in calculations_of("concentration")] == ["v1", "v2"]
    assert calculations_of("no_such_table") == ()


def test_inputs_come_before_what_reads_them():
    ready = {RAW.name}
    for table in output_tables():
        for calc in calculations_of(table.name):
            assert set(calc.spec.input_tables) <= ready, calc.spec.label
        ready.add(table.name)


@each_calculation
def test_a_spec_is_complete(calc):
    spec = calc.spec
    assert re.fullmatch(r"v[1-9]\d*", spec.version)
    assert spec.label == f"{spec.name}_{spec.version}"
    assert spec.input_tables
    assert spec.weeks_required >= 1
    assert all(text.strip() for text in (spec.description, spec.expected_row_count))
    assert spec.assumptions
    assert all(text.strip() for text in spec.assumptions)
    assert spec.columns
    assert all(column.description.strip() for column in spec.columns)
    assert len(set(spec.output_columns)) == len(spec.columns)
    assert spec.key


@each_calculation
def test_a_spec_names_only_calculations_that_exist(calc):
    assert set(calc.spec.depends_on) <= set(LABELS) - {calc.spec.label}
    assert calc.spec.replaces in {None, *LABELS} - {calc.spec.label}


@each_calculation
def test_a_calculation_depends_on_what_fills_its_input_tables(calc):
    read = [get_calculation(*label.rsplit("_", 1)) for label in calc.spec.depends_on]
    assert {c.spec.output_table for c in read} == set(calc.spec.input_tables) - {RAW.name}


@each_calculation
def test_a_version_that_breaks_says_what_it_replaces(calc):
    earlier = [c.spec for c in calculations_of(calc.spec.output_table) if c.spec != calc.spec]
    if calc.spec.is_breaking:
        assert calc.spec.replaces in {spec.label for spec in earlier}


@each_calculation
def test_the_table_of_a_calculation_holds_slice_columns_and_lineage(calc):
    names = [column.name for column in calc.table.columns]
    assert names[:2] == ["week_ending", "tier"]
    assert set(calc.spec.output_columns) <= set(names)
    assert {"calc_name", "calc_version", "as_of_date", "source_revision", "batch_id"} <= set(names)
    assert len(names) == len(set(names))
    assert set(calc.table.key) <= set(names)
    assert not any(calc.table.column(name).nullable for name in calc.table.key)


@each_calculation
def test_every_column_comes_from_columns_that_exist(calc):
    tables = {table for dataset in EVERY_DATASET for table in tables_of(dataset)}
    known = {f"{table.name}.{column.name}" for table in tables for column in table.columns}
    inputs = tuple(f"{name}." for name in calc.spec.input_tables)
    for column in calc.spec.columns:
        assert set(column.sources) <= known, column.name
        assert all(source.startswith(inputs) for source in column.sources), column.name


@settings(max_examples=30)
@given(chains())
def test_both_versions_of_concentration_differ_in_levels_only(chain):
    both = chain.table("concentration")
    v1, v2 = (
        both[both["calc_version"] == version].reset_index(drop=True) for version in ("v1", "v2")
    )
    level = ["calc_version", "concentration_level"]
    assert len(v1) + len(v2) == len(both)
    pd.testing.assert_frame_equal(v1.drop(columns=level), v2.drop(columns=level), check_exact=True)
    rated = v1["hhi"].notna()
    assert v1["concentration_level"].notna().equals(rated)
    assert v2["concentration_level"].notna().equals(rated)


@pytest.fixture
def found_with(monkeypatch):
    """Add a calculation to a module of the package, and look for all of them anew."""

    def look(**changes):
        known = get_calculation("venue_share")
        other = Calculation(replace(known.spec, **changes), lambda week, frames: pd.DataFrame())
        module = importlib.import_module("otc_assets.calculations.venue_share")
        monkeypatch.setattr(module, "another", other, raising=False)
        return all_calculations.__wrapped__()

    return look


def test_a_calculation_that_is_added_to_a_module_is_found(found_with):
    found = found_with(name="another", output_table="another")
    assert {calc.spec.label for calc in found} == {*LABELS, "another_v1"}


def test_two_calculations_of_one_label_are_refused(found_with):
    with pytest.raises(ValueError, match="two calculations are called venue_share_v1"):
        found_with()


def test_versions_whose_columns_differ_are_refused(found_with):
    with pytest.raises(ValueError, match="venue_share_v2 and venue_share_v1 describe two tables"):
        found_with(version="v2", columns=get_calculation("venue_share").spec.columns[:-1])


def test_a_second_version_stands_beside_the_first(found_with):
    found = found_with(version="v2")
    versions = [c.spec.version for c in found if c.spec.output_table == "venue_share"]
    assert versions == ["v1", "v2"]


def test_a_tenth_version_would_be_newer_than_a_second(found_with, monkeypatch):
    found = found_with(name="concentration", version="v10", output_table="another")
    monkeypatch.setattr("otc_assets.calculations.registry.all_calculations", lambda: found)
    assert get_calculation("concentration").spec.version == "v10"
