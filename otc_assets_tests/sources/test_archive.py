"""The archive keeps every file's bytes under their own hash, whole, and for ever."""

import hashlib
import shutil
from contextlib import contextmanager, suppress
from datetime import date

import pytest
from pandas.testing import assert_frame_equal
from upath import UPath

from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.sources.archive import Archive, archived_on
from otc_assets.sources.errors import ArchiveError
from otc_assets.sources.files import FileSource
from otc_assets_tests.sources.samples import FIXTURES, NAMED, TODAY, WEEK, parsed, piped, row

DATA = piped([row(), row("BRK.B")])
CORRECTED = piped([row(), row("BRK.B", shares="1300")])
SHA = hashlib.sha256(DATA).hexdigest()
DAY = date(2025, 12, 15)


@pytest.fixture(params=["local", "memory"])
def archive(request, tmp_path):
    """An archive, once on a disk and once at an fsspec address."""
    if request.param == "local":
        yield Archive(str(tmp_path / "not" / "there" / "yet"))
        return
    kept = Archive("memory://an-archive")
    yield kept
    if kept.root.exists():
        kept.root.fs.rm(kept.root.path, recursive=True)


@pytest.fixture
def local(tmp_path):
    return Archive(str(tmp_path))


def keys(archive):
    """The keys of all the files that are in an archive."""
    files = (path for path in archive.root.rglob("*") if path.is_file())
    return sorted(
        path.as_posix().removeprefix(archive.root.as_posix()).strip("/") for path in files
    )


def test_a_received_file_is_kept_under_its_slice_and_hash(archive):
    key = archive.receive(WEEK, NAMED, DATA)
    assert key == f"otc/2025-11-14/refused/{SHA}/{NAMED}"
    assert archive.get(key) == DATA


def test_an_accepted_file_moves_to_its_revision_date(archive):
    received = archive.receive(WEEK, NAMED, DATA)
    key = archive.accept(received, WEEK, DAY)
    assert key == f"otc/2025-11-14/2025-12-15/{SHA}/{NAMED}"
    assert keys(archive) == [key]
    assert archive.get(key) == DATA


@pytest.mark.parametrize(
    ("tier", "folder"),
    [(Tier.NMS_TIER_1, "nms_tier_1"), (Tier.NMS_TIER_2, "nms_tier_2"), (Tier.OTC, "otc")],
)
def test_the_key_begins_with_the_tier(local, tier, folder):
    key = local.receive(WeekKey(tier, WEEK.week_ending), "a.csv", DATA)
    assert key.startswith(f"{folder}/2025-11-14/")


def test_the_same_bytes_again_change_nothing(local):
    key = local.accept(local.receive(WEEK, NAMED, DATA), WEEK, DAY)
    written = (local.root / key).stat().st_mtime_ns
    assert local.accept(local.receive(WEEK, NAMED, DATA), WEEK, DAY) == key
    assert keys(local) == [key]
    assert (local.root / key).stat().st_mtime_ns == written


def test_accepting_twice_is_fine(archive):
    received = archive.receive(WEEK, NAMED, DATA)
    key = archive.accept(received, WEEK, DAY)
    assert archive.accept(received, WEEK, DAY) == key
    assert keys(archive) == [key]


def test_other_bytes_of_the_same_name_and_day_never_overwrite(archive):
    first = archive.accept(archive.receive(WEEK, NAMED, DATA), WEEK, DAY)
    second = archive.accept(archive.receive(WEEK, NAMED, CORRECTED), WEEK, DAY)
    assert keys(archive) == sorted([first, second])
    assert (archive.get(first), archive.get(second)) == (DATA, CORRECTED)


def test_the_same_bytes_of_two_names_are_both_kept(archive):
    both = [archive.receive(WEEK, name, DATA) for name in ("a.csv", "b.csv")]
    assert keys(archive) == both


@pytest.mark.parametrize("data", [b"", b"\0\xff", b"<html>"])
def test_bytes_that_nobody_can_parse_are_kept_as_they_came(archive, data):
    assert archive.get(archive.receive(WEEK, "odd.csv", data)) == data


@pytest.mark.parametrize("damage", [b"", DATA[:-1], DATA.replace(b"1200", b"1201")])
def test_corrupted_bytes_are_not_given_out(archive, damage):
    key = archive.receive(WEEK, NAMED, DATA)
    (archive.root / key).write_bytes(damage)
    with pytest.raises(ArchiveError, match=f"{NAMED}: the bytes are not those that were archived"):
        archive.get(key)


def test_a_missing_file_is_an_error(archive):
    with pytest.raises(ArchiveError, match=f"{NAMED}: the archive .* fails: FileNotFoundError"):
        archive.get(f"otc/2025-11-14/2025-12-15/{SHA}/{NAMED}")


def test_a_lost_file_is_restored_under_its_key(archive):
    key = archive.accept(archive.receive(WEEK, NAMED, DATA), WEEK, DAY)
    (archive.root / key).unlink()
    archive.restore(key, DATA)
    assert archive.get(key) == DATA


def test_bytes_of_another_key_are_not_restored_in_silence(archive):
    with pytest.raises(ArchiveError, match="these are other bytes"):
        archive.restore(f"otc/2025-11-14/2025-12-15/{SHA}/{NAMED}", CORRECTED)


@contextmanager
def interrupted(step):
    """Writes that break off: half-way through the bytes, or when only the name is missing."""
    local_path = type(UPath("/"))
    write = local_path.write_bytes

    def half(path, data):
        write(path, data[: len(data) // 2])
        raise OSError("broke off")

    def nothing(path, target):
        raise OSError("broke off")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            local_path, *{"bytes": ("write_bytes", half), "name": ("rename", nothing)}[step]
        )
        yield


every_step = pytest.mark.parametrize("step", ["bytes", "name"])


@every_step
def test_an_interrupted_write_leaves_no_file_that_can_be_read(local, step):
    with interrupted(step), pytest.raises(ArchiveError, match="broke off"):
        local.receive(WEEK, NAMED, DATA)
    with pytest.raises(ArchiveError, match="FileNotFoundError"):
        local.get(f"otc/2025-11-14/refused/{SHA}/{NAMED}")
    index = FileSource(str(local.root)).index(TODAY)
    assert (index.placed, index.unplaced) == ({}, [])


@every_step
def test_an_interrupted_write_can_be_done_again(local, step):
    with interrupted(step), pytest.raises(ArchiveError, match="broke off"):
        local.receive(WEEK, NAMED, DATA)
    key = local.receive(WEEK, NAMED, DATA)
    assert keys(local) == [key]
    assert local.get(key) == DATA


def test_an_interrupted_acceptance_keeps_what_was_received_and_can_be_done_again(
    local, monkeypatch
):
    received = local.receive(WEEK, NAMED, DATA)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "move", lambda *_: (_ for _ in ()).throw(OSError("broke off")))
        with pytest.raises(ArchiveError, match="broke off"):
            local.accept(received, WEEK, DAY)
    assert local.get(received) == DATA
    assert local.get(local.accept(received, WEEK, DAY)) == DATA


def test_bytes_that_another_process_moves_to_their_place_meanwhile_are_received(local, monkeypatch):
    other, first = Archive(str(local.root)), local.receive(WEEK, NAMED, DATA)
    look = local.get

    def moved_before_the_look(key):
        monkeypatch.setattr(local, "get", look)
        other.accept(first, WEEK, DAY)
        return look(key)

    monkeypatch.setattr(local, "get", moved_before_the_look)
    assert local.get(local.accept(local.receive(WEEK, NAMED, DATA), WEEK, DAY)) == DATA
    assert keys(local) == [f"otc/2025-11-14/2025-12-15/{SHA}/{NAMED}"]


@pytest.mark.parametrize("damage", [b"", DATA[:-1]])
def test_received_bytes_are_not_given_up_for_damaged_ones(archive, damage):
    key = archive.accept(archive.receive(WEEK, NAMED, DATA), WEEK, DAY)
    (archive.root / key).write_bytes(damage)
    received = archive.receive(WEEK, NAMED, DATA)
    with suppress(ArchiveError):
        archive.accept(received, WEEK, DAY)
    assert DATA in [(archive.root / kept).read_bytes() for kept in keys(archive)]


@pytest.mark.parametrize(
    ("path", "day"),
    [
        (f"/archive/otc/2025-11-14/2025-12-15/{SHA}/a.csv", date(2025, 12, 15)),
        (f"memory://archive/otc/2025-11-14/2025-12-15/{SHA}/a.csv", date(2025, 12, 15)),
        (f"/archive/otc/2025-11-14/refused/{SHA}/a.csv", None),
        (f"/archive/otc/2025-11-14/2025-12-15/{SHA[:-1]}/a.csv", None),
        (f"/archive/otc/2025-11-14/2025-12-15/{SHA}/deeper/a.csv", None),
        ("/files/2025-12-15/a.csv", None),
    ],
)
def test_only_an_archived_file_has_a_day_from_which_it_was_known(path, day):
    assert archived_on(UPath(path)) == day


def test_an_archive_is_itself_a_folder_of_source_files(archive):
    originals = {}
    for week, files in FileSource(str(FIXTURES)).index(TODAY).placed.items():
        for file in files:
            original = parsed(file.read(), file.name, week)
            received = archive.receive(week, file.name, file.read())
            archive.accept(received, week, original.newest_update)
            originals[week, file.name] = original

    index = FileSource(str(archive.root)).index(TODAY)
    copies = {(week, f.name): f for week, files in index.placed.items() for f in files}
    assert copies.keys() == originals.keys()
    assert index.unplaced == []
    for (week, name), original in originals.items():
        copy = copies[week, name]
        again = parsed(copy.read(), name, week)
        assert_frame_equal(again.rows, original.rows)
        assert_frame_equal(again.rejects, original.rejects)
        assert copy.known_on == original.newest_update


def test_a_refused_file_in_an_archive_is_still_given_to_its_slice(archive):
    archive.receive(WEEK, NAMED, b"<html>")
    (file,) = FileSource(str(archive.root)).index(TODAY).files_of(WEEK)
    assert (file.name, file.known_on) == (NAMED, None)
