"""What runs by itself: sensors, schedules and jobs.

Belongs here: when a slice is asked for, and how that becomes runs. Does not belong here: what is
done to a slice. May import everything but `otc_assets.definitions`.
"""
