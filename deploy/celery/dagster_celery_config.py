"""Celery's settings of a worker: ``dagster_celery.app`` imports this module if PYTHONPATH has it.

Here is only how a worker takes runs and does them. ``dagster.yaml`` says what the daemon does.
"""

import os

broker_url = result_backend = os.environ["DAGSTER_CELERY_BROKER_URL"]
include = ["otc_assets.definitions"]  # before the fork, so that no run waits for imports
worker_concurrency = 1
worker_max_tasks_per_child = 1  # as on one machine, each run has a process of its own
worker_disable_prefetch = True  # no run waits behind another while a worker has nothing to do
worker_redirect_stdouts = False  # Dagster keeps what runs print, and needs the real streams
broker_connection_max_retries = None  # wait for the broker, however long it is away
