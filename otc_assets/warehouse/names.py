"""Names of issues and venues: a row has the number of each, and `names` has the name, once.

Belongs here: from texts to numbers and back, within one transaction. What a process has seen of
`names` is kept for the next transaction (`Names` never changes, so that threads may share it), but
only after this one has ended well: a number that was rolled back may come to mean another name.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from otc_assets.domain.records import HASH_BYTES
from otc_assets.domain.tables import NAMES
from otc_assets.warehouse.bulk import select_columns
from otc_assets.warehouse.engine import StoreError
from otc_assets.warehouse.impatient import insert_of
from otc_assets.warehouse.schema import NAME_TABLE


@dataclass(frozen=True)
class Names:
    """Some rows of `names`, in the order of their numbers."""

    numbers: pa.Array
    texts: pa.Array

    def numbers_of(self, texts: pa.Array) -> pa.Array:
        """Return the number of each text; null where it is not among these."""
        return self.numbers.take(pc.index_in(texts, value_set=self.texts))

    def texts_of(self, numbers: pa.Array) -> pa.Array:
        """Return the text of each number; null where it is not among these."""
        return self.texts.take(pc.index_in(numbers, value_set=self.numbers))


NO_NAMES = Names(pa.array([], pa.int64()), pa.array([], pa.large_string()))


class NameBook:
    """The names of the store, as one transaction sees them."""

    def __init__(self, connection: sa.Connection, known: Names) -> None:
        """Look them up through ``connection``, as far as they are not ``known``."""
        self.known = known
        self._connection = connection
        self._is_fresh = False

    def texts(self, numbers: Any) -> Any:
        """Return the name of each number, as an array of pandas; null where there is none."""
        wanted = pa.array(numbers, pa.int64(), from_pandas=True)
        return pd.array(self._found(wanted, Names.texts_of), dtype="str")

    def numbers(self, columns: Iterable[Any]) -> list[Any]:
        """Return the numbers of texts, an array for each column; new names get one.

        Raises:
            StoreError: a name got none, which no fault that we know of can bring about.

        """
        wanted = [_texts(column) for column in columns]
        known = self._fresh()
        found = [known.numbers_of(texts) for texts in wanted]
        if any(map(_lack, wanted, found)):
            self._enter(wanted, found)
            found = [self._found(texts, Names.numbers_of) for texts in wanted]
        if any(map(_lack, wanted, found)):
            raise StoreError("a name was not found in `names` right after it was entered")
        return [_integers(numbers) for numbers in found]

    def _enter(self, wanted: Sequence[pa.Array], found: Sequence[pa.Array]) -> None:
        """Insert the texts that were not found, unless another transaction has just done so.

        In their order: two transactions that insert the same names wait for each other's end, and
        in different orders each could have what the other waits for.
        """
        new: set[str] = set()
        for texts, numbers in zip(wanted, found, strict=True):
            lacking = pc.and_(numbers.is_null(), texts.is_valid())
            new.update(texts.filter(lacking).unique().to_pylist())
        rows = [{"name": name, "name_hash": hash_of(name)} for name in sorted(new)]
        insert = insert_of(NAME_TABLE, self._connection.engine).on_conflict_do_nothing()
        self._connection.execute(insert, rows)

    def _fresh(self) -> Names:
        """Return what is known, once in a transaction with what has come since."""
        if not self._is_fresh:
            self.known, self._is_fresh = _with_newer(self._connection, self.known), True
        return self.known

    def _found(self, values: pa.Array, how: Callable[[Names, pa.Array], pa.Array]) -> pa.Array:
        """Look values up, and again with newer names, and with all, if some are not found.

        A name of a lower number may be newer than that of the highest: its transaction took longer.
        """
        found = how(self._fresh(), values)
        for read in (_with_newer, _all):
            if not _lack(values, found):
                break
            self.known = read(self._connection, self.known)
            found = how(self.known, values)
        return found


def hash_of(name: str) -> bytes:
    """Return the hash by which a name is there once."""
    return hashlib.sha256(name.encode()).digest()[:HASH_BYTES]


def _with_newer(connection: sa.Connection, known: Names) -> Names:
    """Return what is known, and what has come since.

    The newest known name is read again. Where it is another one, the store was restored from a
    backup, and nothing that is known of it counts.
    """
    if not len(known.numbers):
        return _all(connection, known)
    newest = known.numbers[-1], known.texts[-1]
    found = _read(connection, NAME_TABLE.c.number >= newest[0].as_py())
    if not len(found.numbers) or (found.numbers[0], found.texts[0]) != newest:
        return _all(connection, known)
    if len(found.numbers) == 1:
        return known
    return Names(
        pa.concat_arrays([known.numbers, found.numbers[1:]]),
        pa.concat_arrays([known.texts, found.texts[1:]]),
    )


def _all(connection: sa.Connection, _known: Names) -> Names:
    return _read(connection)


def _read(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> Names:
    columns = ["number", "name"]
    found = select_columns(connection, NAMES, NAME_TABLE, columns, *where, order_by=["number"])
    return Names(pa.array(found["number"], pa.int64()), _texts(found["name"]))


def _lack(values: pa.Array, found: pa.Array) -> bool:
    """Tell whether some values, nulls aside, were not found."""
    return bool(found.null_count > values.null_count)


def _texts(values: Any) -> pa.Array:
    texts = pa.array(values, pa.large_string(), from_pandas=True)
    return texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts


def _integers(numbers: pa.Array) -> Any:
    """Return numbers in the type that frames have for counts."""
    if not numbers.null_count:
        return numbers.to_numpy()
    is_null = numbers.is_null().to_numpy(zero_copy_only=False)
    return pd.arrays.IntegerArray(numbers.fill_null(0).to_numpy(), is_null)
