"""The archive and a source on S3, over HTTP: as on a disk, and nothing is lost while it is away."""

import hashlib
import itertools
import json
import logging
import os
import sqlite3
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from functools import cached_property
from pathlib import Path

import boto3
import pytest
from moto.core.authorization import enable_iam_authentication
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import MotoRequestHandler
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer
from s3fs import S3FileSystem

from otc_assets.domain.quality import SliceStatus
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.intake import ingest
from otc_assets.operations.outcome import SliceOutcome
from otc_assets.sources.archive import Archive
from otc_assets.sources.errors import ArchiveError, SourceError
from otc_assets.sources.files import FileSource
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.conftest import FIXTURES
from otc_assets_tests.pipeline import RUN, TODAY, content, run, weeks
from otc_assets_tests.sources.samples import NAMED, WEEK, piped, row

BUCKET = "finra-weeks"
PREFIX = "kept/for-ever"
ARCHIVE = f"s3://{BUCKET}/{PREFIX}"
SOURCE = f"s3://{BUCKET}/incoming"
KEY_ID, SECRET, TOKEN = "AKIATHATNOBODYHAS", "the-secret-key-of-the-tests", "the-token-of-the-tests"

DATA = piped([row(), row("BRK.B")])
CORRECTED = piped([row(), row("BRK.B", shares="1300")])
SHA = hashlib.sha256(DATA).hexdigest()
DAY = date(2025, 12, 15)
REFUSED_KEY = f"otc/2025-11-14/refused/{SHA}/{NAMED}"
KEY = f"otc/2025-11-14/2025-12-15/{SHA}/{NAMED}"


class Server:
    """An S3 server that can be stopped and started again, and what is in its bucket.

    What this looks at and writes goes past s3fs, like what another process does.
    """

    port = 0
    is_up = False

    def start(self) -> None:
        self.moto = ThreadedMotoServer("127.0.0.1", self.port, verbose=False)
        self.moto.start()
        self.port = self.moto.get_host_and_port()[1]
        self.is_up = True

    def stop(self) -> None:
        self.moto.stop()
        self.is_up = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def reset(self) -> None:
        for backends in (s3_backends, iam_backends):
            backends.reset()
        self.client.create_bucket(Bucket=BUCKET)

    def _client(self, service: str):
        access = {"aws_access_key_id": "root", "aws_secret_access_key": "root"}
        return boto3.client(service, endpoint_url=self.url, region_name="us-east-1", **access)

    @cached_property
    def client(self):
        return self._client("s3")

    @cached_property
    def iam(self):
        return self._client("iam")

    def archived(self, folder: str = PREFIX) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=BUCKET, Prefix=f"{folder}/"
        )
        names = [found["Key"] for page in pages for found in page.get("Contents", [])]
        return [name.removeprefix(f"{folder}/") for name in names]

    def read(self, key: str, folder: str = PREFIX) -> bytes:
        return self.client.get_object(Bucket=BUCKET, Key=f"{folder}/{key}")["Body"].read()

    def write(self, key: str, data: bytes, folder: str = PREFIX) -> None:
        self.client.put_object(Bucket=BUCKET, Key=f"{folder}/{key}", Body=data)

    def delete(self, key: str, folder: str = PREFIX) -> None:
        self.client.delete_object(Bucket=BUCKET, Key=f"{folder}/{key}")

    def user(self, *actions: str) -> AbstractContextManager[None]:
        """The environment of a new user, who may do these things and nothing else."""
        self.iam.create_user(UserName="someone")
        allowed = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        self.iam.put_user_policy(UserName="someone", PolicyName="only", PolicyDocument=document)
        access = self.iam.create_access_key(UserName="someone")["AccessKey"]
        return environment(
            AWS_ACCESS_KEY_ID=access["AccessKeyId"],
            AWS_SECRET_ACCESS_KEY=access["SecretAccessKey"],
            AWS_SESSION_TOKEN=None,
        )


@contextmanager
def environment(**variables: str | None) -> Iterator[None]:
    """The variables of a new process; None for one that is not set."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            if value is None:
                patch.delenv(name)
            else:
                patch.setenv(name, value)
        new_process()
        yield
    new_process()


def new_process() -> None:
    """Forget what fsspec keeps as long as a process lives: clients and listings."""
    S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="module")
def started() -> Iterator[Server]:
    """A server, and an environment in which s3fs finds it and soon gives up."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = Server()
    with pytest.MonkeyPatch.context() as patch:
        # One request a connection: a server that is stopped answers nobody any more.
        patch.setattr(MotoRequestHandler, "protocol_version", "HTTP/1.0", raising=False)
        patch.setattr(S3FileSystem, "retries", 2)  # no variable sets it; the default is 5
        server.start()
        with environment(
            AWS_ENDPOINT_URL=server.url,
            AWS_ACCESS_KEY_ID=KEY_ID,
            AWS_SECRET_ACCESS_KEY=SECRET,
            AWS_SESSION_TOKEN=TOKEN,
            AWS_DEFAULT_REGION="us-east-1",
            AWS_CONFIG_FILE=os.devnull,
            AWS_SHARED_CREDENTIALS_FILE=os.devnull,
            AWS_EC2_METADATA_DISABLED="true",
            AWS_MAX_ATTEMPTS="1",
        ):
            yield server
        server.stop()


@pytest.fixture
def server(started: Server) -> Server:
    """A server with one empty bucket, of which nothing has been listed."""
    if not started.is_up:
        started.start()
    started.reset()
    S3FileSystem().invalidate_cache()
    return started


@pytest.fixture
def archive(server: Server) -> Archive:
    return Archive(ARCHIVE)


# Keys and bytes


def test_a_file_is_kept_by_slice_and_hash_and_gets_its_place_by_revision_date(server, archive):
    received = archive.receive(WEEK, NAMED, DATA)
    assert (received, server.archived(), server.read(received)) == (
        REFUSED_KEY,
        [REFUSED_KEY],
        DATA,
    )
    key = archive.accept(received, WEEK, DAY)
    assert (key, server.archived(), server.read(key)) == (KEY, [KEY], DATA)


@pytest.mark.parametrize("address", ["", "/", "/a", "/a/b/"])
def test_an_archive_is_a_bucket_or_a_folder_in_one(server, address):
    archive = Archive(f"s3://{BUCKET}{address}")
    key = archive.accept(archive.receive(WEEK, NAMED, DATA), WEEK, DAY)
    (file,) = FileSource(f"s3://{BUCKET}{address}").index(TODAY).files_of(WEEK)
    assert (key, file.known_on, file.read()) == (KEY, DAY, DATA)


def test_a_correction_never_overwrites_what_it_corrects(server, archive):
    first = archive.accept(archive.receive(WEEK, NAMED, DATA), WEEK, DAY)
    second = archive.accept(archive.receive(WEEK, NAMED, CORRECTED), WEEK, DAY)
    assert server.archived() == sorted([first, second])
    assert (server.read(first), server.read(second)) == (DATA, CORRECTED)


def test_the_same_bytes_again_are_not_written_again(server, archive):
    server.client.put_bucket_versioning(
        Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"}
    )
    for _ in range(3):
        archive.receive(WEEK, NAMED, DATA)
        assert archive.accept(archive.receive(WEEK, NAMED, DATA), WEEK, DAY) == KEY
    versions = server.client.list_object_versions(Bucket=BUCKET, Prefix=f"{PREFIX}/{KEY}")
    assert (server.archived(), len(versions["Versions"])) == ([KEY], 1)


def test_accepting_twice_is_fine(server, archive):
    received = archive.receive(WEEK, NAMED, DATA)
    assert archive.accept(received, WEEK, DAY) == archive.accept(received, WEEK, DAY)
    assert server.archived() == [KEY]


@pytest.mark.parametrize("data", [b"", b"\0\xff", b"<html>"])
def test_bytes_that_nobody_can_parse_are_kept_as_they_came(server, archive, data):
    assert archive.get(archive.receive(WEEK, "odd.csv", data)) == data


@pytest.mark.parametrize("name", ["a[1].csv", "a (1).csv", "a*.csv", "a#b%20c+d?e.csv", "é.csv"])
def test_a_name_is_never_a_pattern(server, archive, name):
    server.write(name, DATA, "incoming")
    (file,) = FileSource(SOURCE).index(TODAY).files_of(WEEK)
    for _ in range(2):
        key = archive.accept(archive.receive(WEEK, file.name, file.read()), WEEK, DAY)
        assert server.archived() == [key] == [f"otc/2025-11-14/2025-12-15/{SHA}/{name}"]


@pytest.mark.parametrize("damage", [b"", DATA[:-1], DATA.replace(b"1200", b"1201")])
def test_damaged_bytes_are_refused_by_name(server, archive, damage):
    server.write(REFUSED_KEY, damage)
    server.write(KEY, damage)
    for asked in (
        lambda: archive.get(KEY),
        lambda: archive.restore(KEY, DATA),
        lambda: archive.receive(WEEK, NAMED, DATA),
    ):
        with pytest.raises(ArchiveError, match=f"{NAMED}: the bytes are not those that were arch"):
            asked()
    assert server.read(KEY) == damage


def test_a_missing_file_is_an_error(archive):
    with pytest.raises(ArchiveError, match=rf"{NAMED}: .*\(OTC_ARCHIVE_URL\).* FileNotFoundError"):
        archive.get(KEY)


def test_what_was_never_received_cannot_be_accepted(server, archive):
    with pytest.raises(ArchiveError, match=rf"{NAMED}: .*\(OTC_ARCHIVE_URL\).* FileNotFoundError"):
        archive.accept(REFUSED_KEY, WEEK, DAY)
    assert server.archived() == []


def test_received_bytes_replace_damaged_ones(server, archive):
    server.write(KEY, DATA[:-1])
    archive.accept(archive.receive(WEEK, NAMED, DATA), WEEK, DAY)
    assert (server.archived(), server.read(KEY)) == ([KEY], DATA)


def test_the_first_day_under_which_bytes_were_accepted_is_told(server, archive):
    assert archive.accepted_on(WEEK, DATA) is None
    archive.accept(archive.receive(WEEK, NAMED, DATA), WEEK, date(2025, 12, 23))
    assert archive.accepted_on(WEEK, DATA) == date(2025, 12, 23)
    server.write(KEY, DATA)
    assert archive.accepted_on(WEEK, DATA) == DAY


def test_a_lost_file_is_restored_under_its_key(server, archive):
    archive.restore(KEY, DATA)
    assert server.read(KEY) == DATA


# What other processes do


def test_an_archived_file_is_found_whatever_was_listed_before(server, archive):
    server.write(f"otc/2025-11-14/2025-12-15/{SHA}/another_name.csv", DATA)
    FileSource(ARCHIVE).index(TODAY)
    server.write(KEY, DATA)
    assert archive.get(KEY) == DATA
    FileSource(ARCHIVE).index(TODAY)
    server.delete(KEY)
    archive.restore(KEY, DATA)
    assert server.read(KEY) == DATA


def test_a_source_sees_what_was_added_changed_and_taken_away(server):
    def seen() -> list[tuple[str, bytes]]:
        return [(f.name, f.read()) for f in source.index(TODAY).files_of(WEEK)]

    source = FileSource(SOURCE)
    server.write("deep/er/a.csv", DATA, "incoming")
    server.write("deep/er/b.csv", DATA, "incoming")
    before = source.index(TODAY).version_of(WEEK)
    server.write("deep/er/a.csv", piped([row()]), "incoming")
    server.delete("deep/er/b.csv", "incoming")
    server.write("deep/er/c.csv", CORRECTED, "incoming")
    assert seen() == [("a.csv", piped([row()])), ("c.csv", CORRECTED)]
    assert source.index(TODAY).version_of(WEEK) != before


def test_a_source_sees_what_was_just_archived(server, archive):
    source = FileSource(ARCHIVE)
    archive.accept(archive.receive(WEEK, NAMED, DATA), WEEK, DAY)
    source.index(TODAY)
    server.write(KEY.replace(NAMED, "b.csv"), DATA)
    server.write(KEY.replace(SHA, hashlib.sha256(CORRECTED).hexdigest()), CORRECTED)
    assert len(source.index(TODAY).files_of(WEEK)) == 3


def test_every_process_tells_the_same_version_of_a_slice(server):
    server.write("a.csv", DATA, "incoming")
    versions = FileSource(SOURCE).index(TODAY).versions()
    new_process()
    assert FileSource(SOURCE).index(TODAY).versions() == versions != {}


# Whole runs

FIXTURE_WEEKS = weeks([Tier.NMS_TIER_1], "2025-05-16", "2025-05-23")
FIXTURE_WEEKS += weeks([Tier.OTC], "2025-06-06", "2025-06-06")
FIXTURE_FILES = [
    "finra_otc_weekly_tier1_20250602.csv",
    "finra_otc_weekly_tier1_20250609.csv",
    "finra_otc_weekly_tier1_20250609_corrected_20250716.csv",
    "finra_otc_weekly_otc_20250707.csv",
]


@pytest.fixture
def new_store(tmp_path) -> Callable[[], Warehouse]:
    numbers = itertools.count()
    return lambda: Warehouse(f"sqlite:///{tmp_path / str(next(numbers))}.db")


def take_in(
    store: Warehouse, source: Path | str, archive: str, slices, today: date = TODAY
) -> dict[WeekKey, SliceOutcome]:
    """Do what a run does before it computes anything."""
    index, kept = FileSource(str(source)).index(today), Archive(archive)
    return {week: ingest(store, kept, index, week, RUN, today) for week in slices}


def records(store: Warehouse, slices) -> list[dict]:
    with store.read() as reader:
        return [record for week in slices for record in reader.records("revisions", week)]


def test_a_replay_from_the_archive_alone_gives_the_same_store(server, new_store):
    store, replayed, in_place = new_store(), new_store(), new_store()
    for name in FIXTURE_FILES:
        server.write(name, (FIXTURES / name).read_bytes(), "incoming")
    run(store, SOURCE, ARCHIVE, FIXTURE_WEEKS)
    archived = {r["archive_key"]: r["source_file"] for r in records(store, FIXTURE_WEEKS)}
    assert sorted(archived.values()) == sorted(FIXTURE_FILES)
    assert server.archived() == sorted(archived)
    for key, name in archived.items():
        assert server.read(key) == (FIXTURES / name).read_bytes()

    new_process()
    run(replayed, ARCHIVE, f"s3://{BUCKET}/copy", FIXTURE_WEEKS)
    assert content(replayed) == content(store)
    assert server.archived("copy") == server.archived()

    take_in(in_place, ARCHIVE, ARCHIVE, FIXTURE_WEEKS)
    assert len(records(in_place, FIXTURE_WEEKS)) == len(archived)
    assert server.archived() == sorted(archived)


def test_a_replay_remembers_the_day_on_which_a_content_was_first_seen(server, new_store):
    store, replayed = new_store(), new_store()
    server.write("a.csv", DATA, "incoming")
    take_in(store, SOURCE, ARCHIVE, [WEEK], date(2025, 12, 20))
    server.write("a.csv", CORRECTED, "incoming")
    take_in(store, SOURCE, ARCHIVE, [WEEK], date(2025, 12, 23))
    days = [(r["revision_date"], r["as_of_source"]) for r in records(store, [WEEK])]
    assert days == [(DAY, "finra"), (date(2025, 12, 23), "captured")]
    take_in(replayed, ARCHIVE, f"s3://{BUCKET}/copy", [WEEK])
    assert content(replayed) == content(store)


def test_where_nothing_may_be_deleted_a_replay_is_the_same(server, new_store):
    store, replayed = new_store(), new_store()
    with server.user("s3:GetObject", "s3:ListBucket", "s3:PutObject"):
        for number, data in enumerate([DATA, CORRECTED]):
            server.write("a.csv", data, "incoming")
            with enable_iam_authentication():
                taken = take_in(store, SOURCE, ARCHIVE, [WEEK], date(2025, 12, 20 + number))
            assert taken[WEEK].status is SliceStatus.LOADED
    assert len(server.archived()) == 4
    take_in(replayed, ARCHIVE, f"s3://{BUCKET}/copy", [WEEK])
    assert content(replayed) == content(store)
    assert len(server.archived("copy")) == 2


def test_a_replay_refuses_damaged_bytes_by_name(server, new_store):
    server.write(KEY, DATA.replace(b"1200", b"1201"))
    store = new_store()
    outcome = take_in(store, ARCHIVE, f"s3://{BUCKET}/copy", [WEEK])[WEEK]
    reason = f"{NAMED}: the bytes are not those that were archived"
    assert (outcome.status, outcome.reason) == (SliceStatus.REFUSED, reason)
    assert (records(store, [WEEK]), server.archived("copy")) == ([], [])


# While it cannot be reached

THREE_WEEKS = weeks([Tier.OTC], "2025-11-07", "2025-11-21")
CORRECTION = "finra_otc_weekly_otc_20251208_corrected.csv"


def rows(published: str, updated: str | None = None) -> bytes:
    return piped([row(updated=published), row("BRK.B", updated=updated or published)])


FILES = {
    "finra_otc_weekly_otc_20251208.csv": rows("2025-12-08"),
    CORRECTION: rows("2025-12-08", "2025-12-11"),
    "finra_otc_weekly_otc_20251215.csv": rows("2025-12-15"),
    "finra_otc_weekly_otc_20251222.csv": rows("2025-12-22"),
}
"""Three weeks, the first of them with a correction."""


def written(folder: Path) -> Path:
    folder.mkdir()
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def source(tmp_path) -> Path:
    return written(tmp_path / "source")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[str, list[str]]:
    """The content of a store and the keys of its archive when all went well, on a disk."""
    folder = tmp_path_factory.mktemp("undisturbed")
    store, archive = Warehouse(f"sqlite:///{folder / 'otc.db'}"), folder / "archive"
    take_in(store, written(folder / "source"), str(archive), THREE_WEEKS)
    files = (path for path in archive.rglob("*") if path.is_file())
    return content(store), sorted(path.relative_to(archive).as_posix() for path in files)


Outage = Callable[[Server], AbstractContextManager[None]]


def wrong_port(server: Server) -> AbstractContextManager[None]:
    return environment(AWS_ENDPOINT_URL="http://127.0.0.1:9")


@contextmanager
def server_down(server: Server) -> Iterator[None]:
    server.stop()
    yield
    server.start()


@contextmanager
def no_bucket(server: Server) -> Iterator[None]:
    for key in server.archived():
        server.delete(key)
    server.client.delete_bucket(Bucket=BUCKET)
    yield
    server.client.create_bucket(Bucket=BUCKET)


def no_credentials(server: Server) -> AbstractContextManager[None]:
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    return environment(**dict.fromkeys(names))


def unknown_user(server: Server) -> AbstractContextManager[None]:
    return enable_iam_authentication()


@contextmanager
def read_only(server: Server) -> Iterator[None]:
    with server.user("s3:GetObject", "s3:ListBucket"), enable_iam_authentication():
        yield


def dead_letters(store: Warehouse) -> dict:
    with store.read() as reader:
        return {letter["week_ending"]: letter["error"] for letter in reader.dead_letters()}


def standing(store: Warehouse) -> dict:
    with store.read() as reader:
        rows = [reader.manifest(week) for week in THREE_WEEKS]
    return {row["week_ending"]: (row["status"], row["reason"]) for row in rows if row}


NO_CONNECTION = 'EndpointConnectionError: Could not connect to the endpoint URL: "http://127.0.0.1'
OUTAGES: dict[Outage, str] = {
    wrong_port: NO_CONNECTION,
    server_down: NO_CONNECTION,
    no_bucket: "FileNotFoundError: The specified bucket does not exist",
    no_credentials: "NoCredentialsError: Unable to locate credentials",
    unknown_user: "PermissionError: ",
    read_only: "PermissionError: Access Denied",
}


@pytest.mark.parametrize("outage", OUTAGES)
def test_without_its_bucket_a_run_loses_nothing_and_a_later_one_heals_it(
    server, new_store, source, undisturbed, outage: Outage
):
    store, said = new_store(), OUTAGES[outage]
    (source / CORRECTION).rename(source / "not_yet")
    take_in(store, source, ARCHIVE, THREE_WEEKS[:2])
    before = content(store)
    (source / "not_yet").rename(source / CORRECTION)

    with outage(server):
        taken = take_in(store, source, ARCHIVE, THREE_WEEKS)
    for week in (THREE_WEEKS[0], THREE_WEEKS[2]):
        day, reason = week.week_ending, taken[week].reason
        assert standing(store)[day] == ("refused", reason)
        assert dead_letters(store)[day] == reason
        assert f"the archive (OTC_ARCHIVE_URL) fails: {said}" in reason
        assert f"otc/{day}/" in reason
    assert content(store) == before

    take_in(store, source, ARCHIVE, THREE_WEEKS)
    assert (content(store), server.archived()) == undisturbed
    assert set(standing(store).values()) == {("loaded", None)}
    assert dead_letters(store) == {}


def test_tables_stay_while_it_is_away_and_follow_when_it_is_back(
    server, new_store, source, tmp_path
):
    store, on_disk, two_weeks = new_store(), new_store(), THREE_WEEKS[:2]
    run(on_disk, source, tmp_path / "archive", two_weeks)
    (source / CORRECTION).rename(source / "not_yet")
    run(store, source, ARCHIVE, two_weeks[:1])
    before = content(store)
    (source / "not_yet").rename(source / CORRECTION)
    with server_down(server):
        run(store, source, ARCHIVE, two_weeks)
    assert content(store) == before
    run(store, source, ARCHIVE, two_weeks)
    assert content(store) == content(on_disk)


@pytest.mark.parametrize("step", ["receive", "accept"])
def test_a_server_that_stops_in_the_middle_costs_the_slices_after_that_only(
    server, new_store, source, undisturbed, monkeypatch, step
):
    store, calls, method = new_store(), itertools.count(1), getattr(Archive, step)

    def stops(archive, *args):
        if next(calls) == 3:  # the second slice: the first has two files
            server.stop()
        return method(archive, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Archive, step, stops)
        take_in(store, source, ARCHIVE, THREE_WEEKS)
    assert [status for status, _ in standing(store).values()] == ["loaded", "refused", "refused"]
    assert list(dead_letters(store)) == [week.week_ending for week in THREE_WEEKS[1:]]
    assert len(records(store, THREE_WEEKS)) == 2

    server.start()  # the same process tries again
    assert len(server.archived()) == {"receive": 2, "accept": 3}[step]
    take_in(store, source, ARCHIVE, THREE_WEEKS)
    assert (content(store), server.archived()) == undisturbed
    assert dead_letters(store) == {}


@pytest.mark.parametrize("outage", [wrong_port, server_down, no_credentials, unknown_user])
def test_a_source_that_cannot_be_listed_is_an_error_that_names_the_setting(server, outage: Outage):
    server.write("a.csv", DATA, "incoming")
    message = rf"^{SOURCE}: the source \(OTC_SOURCE_URL\) fails: "
    with outage(server), pytest.raises(SourceError, match=message):
        FileSource(SOURCE).index(TODAY)
    assert len(FileSource(SOURCE).index(TODAY).files_of(WEEK)) == 1


def test_a_source_that_is_not_there_is_an_error(server):
    for url in (f"s3://{BUCKET}/nothing", "s3://no-such-bucket", "s3://no-such-bucket/folder"):
        with pytest.raises(SourceError, match=f"^{url}/?: there is no such folder; set OTC_SOURCE"):
            FileSource(url).index(TODAY)


def test_a_source_that_goes_away_costs_the_slices_after_that_only(server, new_store, undisturbed):
    for name, data in FILES.items():
        server.write(name, data, "incoming")
    store, archive = new_store(), Archive(ARCHIVE)
    index = FileSource(SOURCE).index(TODAY)
    for number, week in enumerate(THREE_WEEKS):
        if number == 1:
            server.stop()
        ingest(store, archive, index, week, RUN, TODAY)
    server.start()
    status, reason = zip(*standing(store).values(), strict=True)
    assert status == ("loaded", "refused", "refused")
    assert "finra_otc_weekly_otc_20251215.csv: cannot be read: Could not connect" in reason[1]
    take_in(store, SOURCE, ARCHIVE, THREE_WEEKS)
    assert (content(store), server.archived()) == undisturbed


# Secrets


def everything_in(store: Warehouse) -> str:
    with sqlite3.connect(store.engine.url.database) as connection:
        return "\n".join(connection.iterdump())


@pytest.mark.parametrize("outage", [wrong_port, unknown_user])
def test_credentials_are_never_told(server, new_store, source, caplog, capfd, outage: Outage):
    caplog.set_level(logging.DEBUG)
    store, errors = new_store(), []
    take_in(store, source, ARCHIVE, THREE_WEEKS[:1])
    with outage(server):
        taken = take_in(store, source, ARCHIVE, THREE_WEEKS)
        for fails in (
            lambda: Archive(ARCHIVE).receive(WEEK, NAMED, DATA),
            lambda: FileSource(SOURCE).index(TODAY),
        ):
            with pytest.raises(SourceError) as caught:
                fails()
            errors += [repr(caught.value), *traceback.format_exception(caught.value)]
    logged = [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith(("otc_assets", "s3fs", "fsspec"))
    ]
    printed = capfd.readouterr()
    told = [*logged, *errors, *map(repr, taken.values()), everything_in(store), *printed]
    told += [str(Archive(ARCHIVE).root), repr(FileSource(SOURCE).root)]
    assert [text for text in told if any(s in text for s in (KEY_ID, SECRET, TOKEN))] == []
    assert SECRET not in caplog.text
    assert "OTC_ARCHIVE_URL" in everything_in(store)
