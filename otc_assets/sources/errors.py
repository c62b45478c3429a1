"""The errors of this layer: a slice cannot be taken in, and why."""


class SourceError(Exception):
    """A file that cannot be taken; the message names the file, the line and what to do."""

    def __init__(self, file: str, reason: str, line: int | None = None) -> None:
        """Say that ``file``, at ``line`` if it is known, cannot be taken for ``reason``."""
        super().__init__(f"{file}, line {line}: {reason}" if line else f"{file}: {reason}")


class OutageError(SourceError):
    """The source itself did not answer: nothing is known of the slice, nor would be of another."""


class NoSuchSetError(SourceError):
    """What is asked does not have one of FINRA's sets: a 404."""


class VolumeError(SourceError):
    """The month's volume would be passed: the slice was not asked for, and waits."""


class ArchiveError(SourceError):
    """Bytes that could not be archived, or read back: nothing of the slice is stored."""
