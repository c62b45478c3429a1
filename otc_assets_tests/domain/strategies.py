"""What hypothesis draws from: weeks, texts of FINRA's fields, quantities of shares."""

from datetime import date, timedelta

from hypothesis import strategies as st

from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import FIRST_WEEK_ENDING, WeekKey

LAST_WEEK_ENDING = date(2030, 12, 27)

tiers = st.sampled_from(Tier)
fridays = st.integers(0, (LAST_WEEK_ENDING - FIRST_WEEK_ENDING).days // 7).map(
    lambda n: FIRST_WEEK_ENDING + timedelta(weeks=n)
)
weeks = st.builds(WeekKey, tiers, fridays)

fields = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="|\n\x1f"), max_size=8)
"""Any text that a field of a pipe-delimited file can hold."""

quantities = st.from_regex(r"-?[0-9]{1,12}(\.[0-9]{1,6})?", fullmatch=True)
"""Share quantities as FINRA may write them."""
