"""What Feast serves: the files of the asset `features`, joined as they were known.

The week is a join key. Without it, the newest row of a symbol would be that of whichever week was
corrected last, and not that of the newest week.
"""

import os
from pathlib import Path

from feast.data_format import ParquetFormat
from feast.types import Bool, Float64, Int64, String

from feast import Entity, FeatureView, Field, FileSource, ValueType

ROOT = Path(__file__).resolve().parent.parent
FEATURES_URL = os.environ.get("OTC_FEATURES_URL") or ".otc/features"
"""The setting of the project; a relative folder is one of the repository."""

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
    path=FEATURES_URL if "://" in FEATURES_URL else str(ROOT / FEATURES_URL),
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
    ],
    source=files,
    tags={
        "source": "FINRA OTC Transparency data",
        "licence": "own, non-commercial use; see FINRA's terms of use",
    },
)
