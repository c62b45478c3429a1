"""The command `otc why`."""

import json
import re
from pathlib import Path

import pytest

from otc_assets_tests.cli.conftest import Otc
from otc_assets_tests.conftest import FIXTURES

SYMBOL, WEEK = "FNWL", "2025-05-23"
FILE = "finra_otc_weekly_tier1_20250609.csv"


def lines_of_the_symbol() -> list[str]:
    return [line for line in (FIXTURES / FILE).read_text().split("\n") if f"|{SYMBOL}|" in line]


def test_why_walks_from_the_number_to_the_lines(otc: Otc, filled_home: Path):
    home = {"OTC_HOME": str(filled_home)}
    done = otc("why", SYMBOL, WEEK, "--as-of", "2025-07-15", "--tier", "NMS Tier 1", **home)
    assert done.returncode == 0, done.stderr
    volume = sum(int(line.split("|")[5]) for line in lines_of_the_symbol())
    for part in (f"total_volume {volume:,}", "rolling_6w v1", "2025-05-16 r1, 2025-05-23", FILE):
        assert part in done.stdout
    shown = re.findall(r"^ +line \d+: (.*)$", done.stdout, re.MULTILINE)
    assert shown == lines_of_the_symbol()
    types = re.findall(r" ([A-Z]+_[A-Z_]+) ", done.stdout)
    assert types[0] == "FILE_DOWNLOADED"
    assert {"RAW_RECORDS_INGESTED", "CALCULATION_COMPLETED"} <= set(types)


def test_why_as_json_is_for_scripts(otc_process: Otc, filled_home: Path):
    done = otc_process("why", SYMBOL, WEEK, "--json", OTC_HOME=str(filled_home))
    (found,) = json.loads(done.stdout)
    assert found["row"]["week_ending"] == WEEK
    assert found["contents"][-1]["lines"][0]["text"]
    ids = {event["event_id"] for event in found["events"]}
    assert {each["event_id"] for each in found["calculations"]} <= ids
    assert {event["causation_id"] for event in found["events"]} <= ids | {None}


def test_why_of_dealers(otc: Otc, filled_home: Path):
    done = otc("why", SYMBOL, WEEK, "--dataset", "non_ats", OTC_HOME=str(filled_home))
    assert done.returncode == 0, done.stderr
    assert f"non_ats NMS Tier 1:{WEEK}" in done.stdout


def test_an_archive_out_of_reach_is_named_and_the_rest_is_told(
    otc: Otc, filled_home: Path, tmp_path: Path
):
    gone = tmp_path / "gone"
    done = otc("why", SYMBOL, WEEK, OTC_HOME=str(filled_home), OTC_ARCHIVE_URL=str(gone))
    assert done.returncode == 0
    assert "the archive (OTC_ARCHIVE_URL) fails" in done.stderr
    assert "(the archive is out of reach)" in done.stdout
    assert not gone.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["why", SYMBOL, "2031-01-03"], 1, "nothing was found"),
        (["why", "NO.SUCH", WEEK], 1, "nothing was found"),
        (["why", SYMBOL, "2025-05-22"], 2, "Thursday"),
        (["why", SYMBOL, WEEK, "--tier", "T1"], 2, "there are NMS Tier 1"),
        (["why", SYMBOL], 2, "WEEK"),
    ],
)
def test_the_exit_code_says_what_is_wrong(
    otc: Otc, filled_home: Path, arguments: list[str], code: int, said: str
):
    done = otc(*arguments, OTC_HOME=str(filled_home))
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
