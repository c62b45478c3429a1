"""The app: its routes, and what is around them. A further router is a line in `ROUTERS`."""

import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio.to_thread import current_default_thread_limiter
from fastapi import Depends, FastAPI, Security
from fastapi.security import HTTPBearer
from starlette.routing import Route

from otc_assets.domain.datasets import DATASETS
from otc_assets.explorer.router import router as explorer
from otc_assets.research.knowledge import UnknownSymbol
from otc_assets.serving.guard import Guard
from otc_assets.serving.limits import THREADS
from otc_assets.serving.mcp.endpoint import PATH, Endpoint
from otc_assets.serving.problems import add_handlers
from otc_assets.serving.routes import (
    events,
    health,
    knowledge,
    names,
    registry,
    standing,
    tables,
)
from otc_assets.serving.stores import store_named
from otc_assets.settings import number_setting, setting
from otc_assets.warehouse.events import code_version

ROUTERS = tuple(each.router for each in (knowledge, names, registry, standing, events, tables))
DESCRIPTION = """
FINRA's weekly off-exchange volume, as it was known: what `otc_assets.research` answers in Python.

Answers are pages. `meta.next` is the cursor of the next page, null at the end. `meta.as_of` is the
day at whose end in New York an answer was known. Volumes are in shares, notional in dollars,
percentages from 0 to 100. CSV, Parquet and Arrow say the same in headers (`OTC-As-Of`, `OTC-Next`)
and, where they can, in the metadata of their schema. Answers have an `ETag`: sent back as
`If-None-Match` it is answered with 304 for as long as the weeks that were asked for stay as they
are.

Data provided by FINRA, for your own, non-commercial use.
"""


def create_app() -> FastAPI:
    """Return the app for the settings of this process."""
    app = FastAPI(
        title="otc_assets",
        version=code_version(),
        description=DESCRIPTION,
        openapi_url="/v1/openapi.json",
        docs_url=None,  # its scripts come from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
    )
    bearer = HTTPBearer(auto_error=False, description="OTC_API_TOKEN, if it is set.")
    for router in ROUTERS:
        app.include_router(router, dependencies=[Security(bearer)])
    app.include_router(health.router)
    app.include_router(explorer, dependencies=[Depends(_bounded)])
    app.state.mcp = Endpoint()
    app.router.routes.append(Route(PATH, app.state.mcp))
    add_handlers(app)
    rate = number_setting("OTC_API_REQUESTS_PER_SECOND")
    app.add_middleware(Guard, token=setting("OTC_API_TOKEN"), rate=rate)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    current_default_thread_limiter().total_tokens = THREADS
    warnings.filterwarnings("ignore", category=UnknownSymbol)  # the answers say it
    async with app.state.mcp.running():
        yield


def _bounded() -> None:
    """Bound the queries of the explorer, whose views open the stores by themselves."""
    for dataset in DATASETS:
        store_named(dataset.name)
