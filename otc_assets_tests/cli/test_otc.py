"""The command `otc`: what it prints, where, and with which exit code."""

import csv
import io
import json
import re
import shutil
from pathlib import Path

import click
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pytest

from otc_assets.cli.main import COMMANDS
from otc_assets.research import as_of
from otc_assets.research.extract import table_batches
from otc_assets_tests.cli.conftest import Otc

ALL_PUBLIC = "2025-06-25"
"""The two weeks of Tier 1, and those of OTC, were public, and no later OTC week."""


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_every_command_shows_an_example_in_its_help(otc: Otc):
    assert "Commands:" in otc("--help").stdout
    for command in COMMANDS:
        help_text = command.get_help(click.Context(command, info_name=command.name))
        assert re.search(r"^  Examples?:", help_text, re.MULTILINE), command.name
        assert "\\b" not in help_text


def test_status_has_a_row_for_each_tier_and_says_by_its_exit_code_that_weeks_lack(
    otc_process: Otc, filled_home: Path
):
    done = otc_process("status", "--day", ALL_PUBLIC, OTC_HOME=str(filled_home))
    rows = rows_of(done.stdout)
    assert [(row["dataset"], row["tier"]) for row in rows] == [
        (dataset, tier)
        for dataset in ("ats", "non_ats")
        for tier in ("NMS Tier 1", "NMS Tier 2", "OTC")
    ]
    first, lacking, last = rows[:3]
    assert first["newest_week"] == last["newest_week"] == "2025-05-23"
    assert (lacking["newest_week"], lacking["weeks"], lacking["well"]) == ("", "0", "False")
    assert (last["missing"], last["well"]) == ("0", "True")
    assert "otc gaps" in done.stderr
    assert done.returncode == 1


def test_status_as_json_has_numbers_as_numbers(otc: Otc, filled_home: Path):
    found = json.loads(otc("status", "--json", OTC_HOME=str(filled_home)).stdout)
    assert found[0]["weeks"] == 2
    assert found[0]["newest_week"] == "2025-05-23"
    assert found[1]["newest_week"] is None


def test_gaps_lists_each_week_that_lacks(otc: Otc, filled_home: Path):
    done = otc("gaps", "--day", ALL_PUBLIC, OTC_HOME=str(filled_home))
    found = {(row["dataset"], row["tier"], row["week_ending"]) for row in rows_of(done.stdout)}
    assert ("ats", "NMS Tier 2", "2025-05-16") in found
    assert ("ats", "NMS Tier 1", "2025-05-30") in found
    assert not any(week <= "2025-05-23" for _, tier, week in found if tier != "NMS Tier 2")
    assert done.returncode == 1


def test_as_of_prints_what_research_returns(
    otc: Otc, filled_home: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OTC_HOME", str(filled_home))
    known = as_of("2025-07-01", tiers="OTC", weeks="2025-05-16")
    question = ("as-of", "2025-07-01", "--tier", "OTC", "--week", "2025-05-16")
    done = otc(*question, OTC_HOME=str(filled_home))
    rows = rows_of(done.stdout)
    assert [row["symbol"] for row in rows] == list(known["symbol"])
    assert [float(row["total_volume"]) for row in rows] == list(known["total_volume"])
    assert done.returncode == 0


def test_a_symbol_of_another_spelling_is_named_and_not_changed(otc: Otc, filled_home: Path):
    symbol = "XGON"
    assert otc("history", symbol, OTC_HOME=str(filled_home)).returncode == 0
    done = otc("history", symbol.lower(), OTC_HOME=str(filled_home))
    assert (done.returncode, rows_of(done.stdout)) == (1, [])
    assert f"no symbol '{symbol.lower()}' in any week; it has {symbol}" in done.stderr


@pytest.mark.parametrize("kind", ["parquet", "csv", "arrow"])
def test_a_table_is_exported_whole(
    otc: Otc, filled_home: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / f"volume.{kind}"
    done = otc("export", str(file), "--table", "venue_volume", OTC_HOME=str(filled_home))
    assert done.returncode == 0, done.stderr
    monkeypatch.setenv("OTC_HOME", str(filled_home))
    truth = pa.concat_tables(table_batches("venue_volume"))
    read = {
        "parquet": pd.read_parquet,
        "csv": lambda path: pyarrow.csv.read_csv(path).to_pandas(),
        "arrow": lambda path: pa.ipc.open_stream(path).read_all().to_pandas(),
    }[kind](file)
    assert len(read) == truth.num_rows > 1000
    assert read["share_volume"].sum() == truth["share_volume"].to_pandas().sum()
    assert list(read["symbol"].astype(str)) == truth["symbol"].to_pylist()
    assert list(tmp_path.glob(".*part")) == []


def test_an_answer_is_exported_to_standard_output(otc_process: Otc, filled_home: Path):
    done = otc_process(
        "export", "-", "--format", "csv", "--history", "XGON", OTC_HOME=str(filled_home)
    )
    assert {row["symbol"] for row in rows_of(done.stdout)} == {"XGON"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["as-of", "2025-13-01"], "'2025-13-01' is no day"),
        (["as-of", "2025-07-01", "--tier", "T1"], "there are NMS Tier 1, NMS Tier 2, OTC"),
        (["as-of", "2025-07-01", "--week", "2025-05-15"], "Thursday"),
        (["history", "XGON", "--dataset", "dealers"], "'ats', 'non_ats'"),
        (["export", "x.xls", "--history", "XGON"], "parquet, csv, arrow"),
        (["export", "x.csv"], "name one of --table, --as-of and --history"),
        (["export", "/no/such/folder/x.csv", "--history", "XGON"], "/no/such/folder"),
        (["status", "--day", "yesterday"], "yesterday"),
        (["state"], "No such command"),
    ],
)
def test_wrong_use_exits_with_2_and_says_what_is_allowed(
    otc: Otc, filled_home: Path, arguments: list[str], said: str
):
    done = otc(*arguments, OTC_HOME=str(filled_home))
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["gaps"],
        ["as-of", "2025-07-01"],
        ["history", "XGON"],
        ["export", "x.csv", "--table", "raw"],
    ],
    ids=" ".join,
)
def test_without_a_store_nothing_is_created_and_the_place_is_named(
    otc: Otc, tmp_path: Path, arguments: list[str]
):
    home = tmp_path / "nowhere"
    done = otc(*arguments, OTC_HOME=str(home))
    assert done.returncode == 2
    assert f"there is no store: no file {home}/otc.db" in done.stderr
    assert "OTC_HOME" in done.stderr
    assert not home.exists()


def test_doctor_says_what_would_fail_and_shows_no_secret(otc: Otc, filled_home: Path, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(filled_home, home)
    well = otc("doctor", "--json", OTC_HOME=str(home), OTC_SOURCE_URL=str(tmp_path))
    assert well.returncode == 0, well.stdout
    ill = otc(
        "doctor",
        "--json",
        OTC_HOME=str(home),
        OTC_DATABASE_URL="postgresql+psycopg://me:hunter2@127.0.0.1:1/nothing",
        FINRA_CLIENT_ID="an-id",
        FINRA_CLIENT_SECRET="a-secret",
        OTC_FOLLOW_WEEKS="many",
    )
    found = {row["what"]: row for row in json.loads(ill.stdout)}
    assert ill.returncode == 1
    assert found["store"]["verdict"] == "fails"
    assert "OTC_FOLLOW_WEEKS must be a positive number" in found["numbers"]["detail"]
    assert "OTC_SOURCE_URL" in found["source"]["detail"]
    assert found["FINRA_CLIENT_SECRET"]["detail"] == "set"
    for secret in ("hunter2", "a-secret", "an-id"):
        assert secret not in ill.stdout + ill.stderr
