"""Whether the server can answer, and what Prometheus asks."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from otc_assets.domain.datasets import DATASETS
from otc_assets.serving.described import errors
from otc_assets.serving.measures import exposition
from otc_assets.serving.problems import Problem
from otc_assets.serving.stores import check
from otc_assets.warehouse.engine import StoreError

router = APIRouter(tags=["the server"], responses=errors())


@router.get("/health")
def health(request: Request) -> dict[str, str]:
    """Whether the store can be read and has the schema of this version; 503 if not.

    The reason is told to who has the token.
    """
    try:
        for dataset in DATASETS:
            check(dataset.name)
    except StoreError as error:
        told = request.scope.get("otc_authorized")
        detail = str(error) if told else "the store cannot be read"
        raise Problem(503, detail, headers={"Retry-After": "10"}) from None
    return {"status": "well"}


@router.get("/metrics", responses={200: {"content": {"text/plain": {}}}})
def metrics() -> Response:
    """Metrics of the store, of Dagster's instance, and of requests, for Prometheus."""
    return Response(exposition(), media_type=CONTENT_TYPE_LATEST)
