"""Places where files lie: folders of this machine, and object stores, which have no folders."""

import os

from upath import UPath


def is_local(path: UPath) -> bool:
    """Tell whether a path is on a disk of this machine, and not in an object store."""
    return path.protocol in ("", "file")


def make_folder(folder: UPath) -> None:
    """Make a folder and those above it, where there are folders."""
    if is_local(folder):
        folder.mkdir(parents=True, exist_ok=True)


def write_whole(path: UPath, data: bytes) -> None:
    """Write a file so that a reader, or a restart after a kill, never sees half of it."""
    if not is_local(path):  # object stores show an object only when it is whole
        path.write_bytes(data)
        return
    part = path.with_name(f".{os.getpid()}.part")
    part.write_bytes(data)
    part.rename(path)
