"""Places where files lie: folders of this machine, and object stores, which have no folders."""

from upath import UPath


def is_local(path: UPath) -> bool:
    """Tell whether a path is on a disk of this machine, and not in an object store."""
    return path.protocol in ("", "file")


def make_folder(folder: UPath) -> None:
    """Make a folder and those above it, where there are folders."""
    if is_local(folder):
        folder.mkdir(parents=True, exist_ok=True)
