"""Takes the rows of a retired version of a calculation out of the store."""

from otc_assets.calculations import calculation_labelled, successor_of
from otc_assets.domain.events import EventType
from otc_assets.domain.grains import SliceKey
from otc_assets.warehouse.reader import SliceReader
from otc_assets.warehouse.store import Warehouse
from otc_assets.warehouse.writer import RunIds


def retire(warehouse: Warehouse, label: str, run: RunIds) -> dict[SliceKey, int]:
    """Remove the rows of a retired version, slice by slice, each under its lock.

    Killed between two slices, it goes on with the next one when it is run again.

    Args:
        warehouse: the store of one dataset.
        label: the calculation as ``name_version``, for example concentration_v1.
        run: who removes them.

    Returns:
        How many rows were removed of each slice.

    Raises:
        KeyError: there is no such calculation.
        ValueError: it is not retired, or slices that have rows of it have none of the version in
            force that has replaced it; then nothing is removed.

    """
    successor = successor_of(label)
    spec = calculation_labelled(label).spec
    replaced_by = successor.spec.version
    with warehouse.read() as reader:
        slices = reader.slices_with(spec.output_table, calc_version=spec.version)
        _refuse_loss(reader, slices, spec.output_table, label, replaced_by)
    removed = {}
    for week in slices:
        with warehouse.write(week, run) as writer:
            removed[week] = writer.remove_version(spec.output_table, spec.version)
            manifest = writer.manifest(week) or {"row_counts": {}}
            if spec.output_table in manifest["row_counts"]:
                counts = {spec.output_table: writer.count(spec.output_table, week)}
                writer.save_manifest(row_counts={**manifest["row_counts"], **counts})
            done = {"calculation": label, "replaced_by": successor.spec.label}
            instead = writer.events.newest(
                EventType.CALCULATION_COMPLETED,
                table=spec.output_table,
                calc_version=successor.spec.version,
            )
            payload = {**done, "rows": removed[week]}
            writer.events.append(EventType.CALCULATION_RETIRED, payload, instead)
    return removed


def _refuse_loss(
    reader: SliceReader, slices: list[SliceKey], table: str, label: str, replaced_by: str
) -> None:
    replaced = set(reader.slices_with(table, calc_version=replaced_by))
    if lacking := [str(week) for week in slices if week not in replaced]:
        raise ValueError(
            f"{label} stays: {table} has no rows of its replacement {replaced_by} in "
            f"{', '.join(lacking)}; materialize {table} there first"
        )
