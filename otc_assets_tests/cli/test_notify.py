"""`otc notify`: tells people without a daemon, and says by its exit code whether it could."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from otc_assets_tests.cli.conftest import Otc
from otc_assets_tests.sinks import HttpSink, http_sink, mail_sink


@pytest.fixture
def home(filled_home: Path, tmp_path: Path) -> str:
    """A home of two weeks of 2025, after which all weeks lack."""
    shutil.copytree(filled_home, tmp_path / "home")
    return str(tmp_path / "home")


@pytest.fixture
def sink() -> Iterator[HttpSink]:
    with http_sink() as server:
        yield server


def test_each_dataset_is_told_once(otc: Otc, home: str, sink: HttpSink):
    first = otc("notify", OTC_HOME=home, OTC_NOTIFY_URL=sink.url)
    assert first.returncode == 0
    assert first.stdout.count("sent to sink 1 (json): [otc_assets] ") == 2
    assert [title.split(":")[0] for title in sink.titles] == ["ATS", "non-ATS"]
    second = otc("notify", OTC_HOME=home, OTC_NOTIFY_URL=sink.url)
    assert (second.returncode, second.stdout) == (0, "nothing is to be told\n")


def test_an_address_that_does_not_take_it_is_one_thing_wrong(otc: Otc, home: str, sink: HttpSink):
    sink.status = 500
    done = otc("notify", OTC_HOME=home, OTC_NOTIFY_URL=sink.url)
    assert (done.returncode, sink.asked) == (1, 1)
    assert done.stderr.startswith("sink 1 (json) did not take it: ")
    sink.status = 200
    assert otc("notify", OTC_HOME=home, OTC_NOTIFY_URL=sink.url).returncode == 0
    assert len(sink.taken) == 2


def test_a_test_is_sent_to_every_address_each_time(otc: Otc, home: str, sink: HttpSink):
    with mail_sink() as (server, url):
        for _ in range(2):
            done = otc("notify", "--test", OTC_HOME=home, OTC_NOTIFY_URL=f"{sink.url} {url}")
            assert done.returncode == 0
        assert [mail["subject"] for mail in server.taken] == ["[otc_assets] A test"] * 2
    assert sink.titles == ["A test"] * 2
    sink.status = 500
    done = otc("notify", "--test", OTC_HOME=home, OTC_NOTIFY_URL=f"{sink.url} {url}")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 2)


def test_without_an_address_or_a_store_it_says_so(otc: Otc, home: str, tmp_path: Path):
    done = otc("notify", OTC_HOME=home)
    assert (done.returncode, "OTC_NOTIFY_URL is not set" in done.stderr) == (2, True)
    nowhere = tmp_path / "nowhere"
    done = otc("notify", OTC_HOME=str(nowhere), OTC_NOTIFY_URL="json://127.0.0.1:9")
    assert (done.returncode, "there is no store" in done.stderr) == (2, True)
    assert not nowhere.exists()
