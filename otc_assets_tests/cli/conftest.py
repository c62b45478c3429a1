"""A home that was filled once, and the command `otc` as a process of its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from otc_assets.domain.datasets import DATASETS
from otc_assets.domain.tiers import Tier
from otc_assets.settings import DEFAULTS
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests import pipeline
from otc_assets_tests.conftest import FIXTURES

OTC = Path(sys.executable).with_name("otc")
FIRST, LAST = "2025-05-16", "2025-05-23"

Otc = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def filled_home(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Path:
    """Two weeks of two tiers of both datasets, one of them corrected; nobody may change it."""
    folder = tmp_path_factory.mktemp("filled")
    shutil.copy(migrated_file, folder / "otc.db")
    for dataset in DATASETS:
        store = Warehouse(f"sqlite:///{folder / 'otc.db'}", dataset)
        slices = pipeline.weeks([Tier.NMS_TIER_1, Tier.OTC], FIRST, LAST)
        pipeline.run(store, FIXTURES, folder / "archive", slices)
        store.engine.dispose()
    return folder


@pytest.fixture
def otc(tmp_path: Path) -> Otc:
    """Runs the command in an empty folder, in which it may leave nothing."""
    cwd = tmp_path / "started here"
    cwd.mkdir()

    def run(*arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        environment = {k: v for k, v in os.environ.items() if k not in DEFAULTS} | settings
        done = subprocess.run(
            [OTC, *arguments],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert list(cwd.iterdir()) == []
        return done

    return run
