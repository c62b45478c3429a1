"""What the platform needs of a source, whether that is a folder or FINRA itself."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Protocol

from otc_assets.domain.datasets import Dataset
from otc_assets.domain.grains import SliceKey
from otc_assets.sources.errors import SourceError


class File(Protocol):
    """One content of a slice."""

    @property
    def name(self) -> str:
        """A file name, which goes into lineage."""

    @property
    def known_on(self) -> date | None:
        """The day from which its content was known, where an archive of ours remembers it."""

    def read(self) -> bytes:
        """Return the bytes, or raise `SourceError`."""


class Stray(Protocol):
    """A file that belongs to no slice."""

    @property
    def error(self) -> SourceError | None:
        """Why that cannot be told."""


class Index(Protocol):
    """What a source has of one dataset, as seen at one moment."""

    source: str
    """What lineage calls the source."""
    follows_calendar: bool
    """New slices come on the calendar's days only, so that it need not be asked on others."""

    def versions(self) -> Mapping[SliceKey, str]:
        """Return the slices that the source has; a slice's text changes with its content.

        Cheap: for a sensor's tick. Raises `SourceError` if the source cannot be reached.
        """

    def version_of(self, week: SliceKey) -> str:
        """Return the text that `versions` has, or would have, for a slice that was just read."""

    def files_of(self, week: SliceKey) -> Sequence[File]:
        """Return the contents of a slice, or raise `SourceError` if it cannot be had whole."""

    def no_longer_has(self, week: SliceKey) -> bool:
        """Tell whether the source once had a slice, and has dropped it for ever."""

    def strays(self) -> Sequence[Stray]:
        """Return what belongs to no slice."""


class Source(Protocol):
    """Where the weeks come from."""

    def index(self, today: date, dataset: Dataset) -> Index:
        """Look at what there is, as of ``today``, or raise `SourceError`."""
