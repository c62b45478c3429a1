"""What is an outage of FINRA, what is none, and who does not ask any more."""

from datetime import date

import pytest

from otc_assets.domain.datasets import ATS, NON_ATS
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.sources.errors import OutageError, SourceError
from otc_assets.sources.finra import FinraSource
from otc_assets.sources.listings import Listings
from otc_assets_tests.finra.conftest import TODAY, WEEK, Known, index_of, means_of
from otc_assets_tests.finra.faults import Fault
from otc_assets_tests.finra.server import DATA, PARTITIONS

LATER = WEEK.shifted(1)
NO_ANSWER = [
    Fault.BAD_GATEWAY,
    Fault.UNAVAILABLE,
    Fault.GATEWAY_TIMEOUT,
    Fault.HANGS,
    Fault.RESET,
    Fault.CUT_BODY,
]
FINRAS_OWN = [
    Fault.TOO_MANY_SECONDS,
    Fault.SERVER_ERROR,
    Fault.EXPIRED,
    Fault.FORBIDDEN,
    Fault.BAD_REQUEST,
    Fault.CUT_JSON,
    Fault.HTML,
    Fault.WRONG_TYPE,
    Fault.EMPTY_PAGE,
    Fault.OTHER_TOTAL,
]


@pytest.mark.parametrize("fault", NO_ANSWER)
def test_a_slice_that_gets_no_answer_ends_the_asking_with_one_line(server, client, caplog, fault):
    server.faults.always(fault)
    index = index_of(client)
    with pytest.raises(OutageError, match=r"rows from 0 on: .*\(attempt 4, the last\)"):
        index.files_of(WEEK)
    server.faults.stop()
    asked = len(server.requests)
    reason = rf"ATS {LATER} was not asked for: FINRA has not answered since .*, .* at ATS {WEEK}$"
    for _ in range(2):
        with pytest.raises(OutageError, match=reason):
            index.files_of(LATER)
    assert len(server.requests) == asked == 4
    (line,) = [r.getMessage() for r in caplog.records if r.name.endswith(".outage")]
    assert line.endswith("no other slice is asked for in this run")


@pytest.mark.parametrize("fault", FINRAS_OWN)
def test_an_answer_of_finras_own_ends_nothing(server, client, fault):
    server.retry_after_seconds = 0
    server.faults.always(fault)
    index = index_of(client)
    with pytest.raises(SourceError) as refused:
        index.files_of(WEEK)
    assert not isinstance(refused.value, OutageError)
    server.faults.stop()
    assert index.files_of(WEEK)


@pytest.mark.parametrize("answer", [Fault.TOO_MANY_SECONDS, Fault.CUT_JSON, Fault.FORBIDDEN])
@pytest.mark.parametrize("place", range(4))
def test_one_answer_among_the_attempts_ends_nothing(server, client, answer, place):
    server.retry_after_seconds = 0
    faults = [Fault.UNAVAILABLE, Fault.RESET, Fault.BAD_GATEWAY]
    server.faults.next(*faults[:place], answer, *faults[place:])
    index = index_of(client)
    with pytest.raises(SourceError, match="attempt 4, the last"):
        index.files_of(WEEK)
    assert index.files_of(WEEK)


def test_faults_that_pass_within_the_patience_end_nothing(server, client):
    server.faults.next(Fault.UNAVAILABLE, Fault.RESET, Fault.GATEWAY_TIMEOUT)
    index = index_of(client)
    assert index.files_of(WEEK)
    server.faults.next(Fault.RESET)
    assert index.files_of(WEEK)


def test_a_list_of_partitions_that_gets_no_answer_is_an_outage_too(server, client):
    server.faults.always(Fault.UNAVAILABLE, "partitions")
    index = index_of(client, listings=Listings)
    with pytest.raises(OutageError, match="the list of partitions of weeklySummary: 503"):
        index.files_of(WEEK)
    with pytest.raises(OutageError, match=f"{LATER} was not asked for"):
        index.files_of(LATER)
    assert (len(server.asked(DATA)), len(server.asked(PARTITIONS))) == (0, 4)


def test_the_datasets_of_a_run_share_an_outage_and_another_run_does_not(server, client):
    server.faults.always(Fault.RESET)
    run, another = (FinraSource(means_of(client, listings=Known())) for _ in range(2))
    with pytest.raises(OutageError, match="attempt 4"):
        run.index(TODAY, ATS).files_of(WEEK)
    with pytest.raises(OutageError, match=f"non-ATS {WEEK} was not asked for"):
        run.index(TODAY, NON_ATS).files_of(WEEK)
    assert len(server.requests) == 4
    server.faults.stop()
    assert another.index(TODAY, NON_ATS).files_of(WEEK)


def test_a_sensor_may_ask_for_the_list_in_an_outage(server, client):
    server.faults.always(Fault.RESET)
    index = index_of(client)
    with pytest.raises(OutageError):
        index.files_of(WEEK)
    assert list(index.versions()) == [WEEK]


def test_a_slice_to_come_is_no_part_of_an_outage(server, client):
    server.faults.always(Fault.RESET)
    index = index_of(client)
    with pytest.raises(OutageError):
        index.files_of(WEEK)
    assert index.files_of(WeekKey(Tier.NMS_TIER_1, date(2026, 1, 16))) == []
