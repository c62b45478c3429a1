"""The columns of the weekly feature files, and what each feature is."""

import pyarrow as pa

from otc_assets.research.feature_layout import FeatureColumn, Layout, about

VERSION = "v2"
"""Of the definitions below; it is in each file, and is the asset's code version."""

FEATURES = (
    FeatureColumn("volume", pa.float64(), "Shares traded on all ATSs in the week.", nullable=True),
    FeatureColumn(
        "volume_per_day",
        pa.float64(),
        "volume / trading_days: comparable between short weeks and whole ones.",
        nullable=True,
    ),
    FeatureColumn(
        "trading_days", pa.int64(), "Days of the week on which the NYSE was open.", nullable=True
    ),
    FeatureColumn(
        "notional",
        pa.float64(),
        "Dollars traded on all ATSs; null unless the source has it for every record.",
        nullable=True,
    ),
    FeatureColumn(
        "venue_count",
        pa.int64(),
        "ATSs that reported the symbol in the week, also with volume 0.",
        nullable=True,
    ),
    FeatureColumn(
        "top_venue_share",
        pa.float64(),
        "Percent (0 to 100) of volume on the largest ATS; null where nothing traded.",
        nullable=True,
    ),
    FeatureColumn(
        "venue_concentration_hhi",
        pa.float64(),
        "Six-week rolling Herfindahl-Hirschman index, 0 to 10,000: the sum over ATSs of (percent "
        "of the symbol's volume of weeks W-5..W) squared, rounded to 2 decimals; null where "
        "nothing traded.",
        nullable=True,
    ),
    FeatureColumn(
        "venue_turnover_pct",
        pa.float64(),
        "100 x (1 - ATSs of both this week and the week before / ATSs of either): 0 the same ATSs, "
        "100 all others; null without the week before.",
        nullable=True,
    ),
    FeatureColumn(
        "volume_vs_avg",
        pa.float64(),
        "volume against its average over the weeks of W-5..W in which the symbol was reported, in "
        "percent of that average: 0 is average, 100 is twice; null if the average is 0.",
        nullable=True,
    ),
    FeatureColumn(
        "weeks_in_window",
        pa.int64(),
        "Weeks of W-5..W in which the symbol was reported, 1 to 6.",
        nullable=True,
    ),
    FeatureColumn(
        "volume_wow_change_pct",
        pa.float64(),
        "Change of volume against the week before, in percent of that; null without it.",
        nullable=True,
    ),
    FeatureColumn(
        "spike_ratio",
        pa.float64(),
        "volume / its average over the weeks of W-6..W-1 in which the symbol was reported.",
        nullable=True,
    ),
    FeatureColumn(
        "volume_zscore",
        pa.float64(),
        "(volume - average) / sample standard deviation of the same weeks; null with fewer than "
        "two of them, or where they are all equal.",
        nullable=True,
    ),
    FeatureColumn(
        "ats_share_pct",
        pa.float64(),
        "Percent (0 to 100) of ATS volume in ATS + non-ATS volume of tier and week; null while the "
        "non-ATS week is not known, 100 if it is and lacks the symbol.",
        nullable=True,
    ),
    FeatureColumn(
        "short_share_pct",
        pa.float64(),
        "Percent (0 to 100) of facility_volume that was sold short; null where that is null or 0.",
        nullable=True,
    ),
    FeatureColumn(
        "facility_volume",
        pa.float64(),
        "Shares of all trades off exchange that FINRA's facilities saw in regular hours on all "
        "trading days of the week; null while one of the days is not known, and in the tier OTC; "
        "0 if all are and lack the symbol.",
        nullable=True,
    ),
    FeatureColumn(
        "venues_vs_facilities_pct",
        pa.float64(),
        "ATS + non-ATS volume of tier and week in percent of facility_volume: 100 where they "
        "agree; null while the non-ATS week is not known, and where facility_volume is null or 0.",
        nullable=True,
    ),
)

LAYOUT = Layout(
    slice=(
        FeatureColumn("week_ending", pa.date32(), "The Friday that names the reported week."),
        FeatureColumn("tier", pa.string(), "NMS Tier 1, NMS Tier 2 or OTC."),
    ),
    record=(FeatureColumn("symbol", pa.string(), "As FINRA writes it."),),
    features=FEATURES,
    measure="volume",
    about=about("FINRA OTC (ATS and non-ATS) Transparency data, weekly summary", VERSION),
)
COLUMNS, NAMES = LAYOUT.columns, LAYOUT.names
"""Those of a file in their order, and the names of the features."""
