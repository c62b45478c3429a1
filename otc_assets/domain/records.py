"""What identifies a record, and what tells one content of it from another."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from otc_assets.domain.grains import SliceKey
from otc_assets.domain.tiers import Tier

HASH_BYTES = 16
"""Stored size of a hash: the first 16 bytes of SHA-256, which are its first 32 hex digits."""

SEPARATOR = "\x1f"
"""Between the fields of a content: the unit separator, which no FINRA field holds."""


@dataclass(frozen=True)
class RecordKey:
    """The identity of a record: one venue's volume in one symbol, in one week of one tier.

    Not unique across revisions, nor among real twins; `content_hashes` tells those apart.
    """

    week_ending: date
    tier: Tier
    symbol: str
    mpid: str

    def to_hash(self) -> str:
        """Return 32 hex digits: the start of SHA-256 of ``week_ending|tier|symbol|mpid``."""
        key = f"{self.week_ending.isoformat()}|{self.tier}|{self.symbol}|{self.mpid}"
        return hashlib.sha256(key.encode()).hexdigest()[: 2 * HASH_BYTES]


def record_hashes(
    week: SliceKey, symbols: "pd.Series[str]", mpids: "pd.Series[str]"
) -> list[bytes]:
    """Return `RecordKey.to_hash` of each record of one slice, as 16 bytes each."""
    return _digests([week.period.isoformat(), str(week.section), symbols, mpids], "|")


def content_hashes(columns: "Sequence[pd.Series[str]]") -> list[bytes]:
    """Return a 16-byte hash of each row's whole content, given its fields column by column."""
    return _digests(columns, SEPARATOR)


def _digests(columns: "Sequence[str | pd.Series[str]]", separator: str) -> list[bytes]:
    """Hash each row's text. Arrow joins it: row by row in Python, that costs more than to hash."""
    parts = [pa.scalar(c) if isinstance(c, str) else pa.array(c, pa.string()) for c in columns]
    rows = pc.binary_join_element_wise(*parts, separator).cast(pa.binary())
    return [hashlib.sha256(row).digest()[:HASH_BYTES] for row in rows.to_pylist()]


def slice_content_hash(rows: Iterable[bytes], reject_lines: Iterable[str]) -> str:
    """Return one hex SHA-256 for a whole slice, whatever the order of its lines.

    Rejected lines count: a file that differs only in them is another content.
    """
    hashes = np.frombuffer(b"".join(rows), f"S{HASH_BYTES}")
    digest = hashlib.sha256(np.sort(hashes).tobytes())
    for line in sorted(reject_lines):
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()
