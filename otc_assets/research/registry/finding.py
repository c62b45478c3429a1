"""Venues found by their MPID or CRD number, or by any name that they have had."""

import pandas as pd

from otc_assets.research.registry.known import venue_registry


def find_venues(
    text: str, *, dataset: str | None = None, database_url: str | None = None
) -> pd.DataFrame:
    """Return the venues that begin with a text, then those of which a name has it.

    Upper and lower case count alike. A name from before is found too, so that a venue is under the
    name under which it is remembered.

    Args:
        text: the search.
        dataset: ats or non_ats (default: both, as far as the store has them).
        database_url: the store (default: OTC_DATABASE_URL).

    Returns:
        The newest row of `venue_registry` of each, with ``found_by`` (venue or name). By
        ``found_by`` and venue.

    Raises:
        StoreError, ValueError: as `venue_registry` does.

    """
    rows = venue_registry(dataset=dataset, database_url=database_url)
    wanted = text.casefold()
    of = [rows["dataset"], rows["venue"]]
    begins = rows["venue"].str.casefold().str.startswith(wanted)
    names = rows["name"].fillna("") + "\n" + rows["names_before"].fillna("")
    is_named = names.str.casefold().str.contains(wanted, regex=False).groupby(of).transform("any")
    found_by = pd.Series("name", rows.index, dtype="str").where(~begins, "venue")
    found = rows.assign(found_by=found_by)[begins | is_named]
    newest = found.drop_duplicates(["dataset", "venue"], keep="last")
    return newest.sort_values(["found_by", "venue"], ascending=[False, True], ignore_index=True)
