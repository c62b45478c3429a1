"""What Feast serves: the files of the asset `features`, joined as they were known.

The week is a join key. Without it, the newest row of a symbol would be that of whichever week was
corrected last, and not that of the newest week.
"""

import os
import sys
from pathlib import Path

from feast.data_format import ParquetFormat
from feast.types import Bool, Float64, Int64, String

from feast import Entity, FeatureView, Field, FileSource, ValueType

ROOT = Path(__file__).resolve().parent.parent


def features_url() -> str:
    """Return where the feature files are: OTC_FEATURES_URL, by default in the home.

    A relative folder is one of the repository.

    Raises:
        ValueError: OTC_HOME is not set to an absolute path, which feature_store.yaml needs.

    """
    if not Path(os.environ.get("OTC_HOME", "")).is_absolute():
        raise ValueError(
            "Feast keeps its registry and its online store in the home: "
            "set OTC_HOME to the absolute path of a folder"
        )
    sys.path.append(str(ROOT))  # this project is not installed in Feast's environment
    from otc_assets.settings import is_address, setting

    url = setting("OTC_FEATURES_URL")
    return url if is_address(url) else str(ROOT / url)


symbol = Entity(
    name="symbol",
    join_keys=["symbol"],
    value_type=ValueType.STRING,
    description="As FINRA writes it.",
)
tier = Entity(
    name="tier",
    join_keys=["tier"],
    value_type=ValueType.STRING,
    description="NMS Tier 1, NMS Tier 2 or OTC.",
)
week = Entity(
    name="week",
    join_keys=["week"],
    value_type=ValueType.STRING,
    description="The Friday of the reported week, as text: 2025-05-16.",
)

files = FileSource(
    name="otc_feature_files",
    # Not the folder: below it are also the files of months and days.
    path=f"{features_url()}/tier_slug=*/week=*/features.parquet",
    file_format=ParquetFormat(),
    timestamp_field="event_timestamp",
    created_timestamp_column="created_timestamp",
)

weekly_ats_features = FeatureView(
    name="weekly_ats_features",
    entities=[symbol, tier, week],
    ttl=None,  # what was known of a week stays known until a correction
    schema=[
        Field(name="symbol", dtype=String),
        Field(name="tier", dtype=String),
        Field(name="week", dtype=String),
        Field(name="is_removed", dtype=Bool),
        Field(name="volume", dtype=Float64),
        Field(name="volume_per_day", dtype=Float64),
        Field(name="trading_days", dtype=Int64),
        Field(name="notional", dtype=Float64),
        Field(name="venue_count", dtype=Int64),
        Field(name="top_venue_share", dtype=Float64),
        Field(name="venue_concentration_hhi", dtype=Float64),
        Field(name="venue_turnover_pct", dtype=Float64),
        Field(name="volume_vs_avg", dtype=Float64),
        Field(name="weeks_in_window", dtype=Int64),
        Field(name="volume_wow_change_pct", dtype=Float64),
        Field(name="spike_ratio", dtype=Float64),
        Field(name="volume_zscore", dtype=Float64),
        Field(name="ats_share_pct", dtype=Float64),
        Field(name="short_share_pct", dtype=Float64),
        Field(name="facility_volume", dtype=Float64),
        Field(name="venues_vs_facilities_pct", dtype=Float64),
    ],
    source=files,
    tags={
        "source": "FINRA OTC Transparency data",
        "licence": "own, non-commercial use; see FINRA's terms of use",
    },
)
