"""`otc serve`: the HTTP API."""

import click


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="At which address to listen.")
@click.option("--port", default=8000, show_default=True, help="At which port.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes that answer; one for each core is a good number.",
)
def serve(host: str, port: int, workers: int) -> None:
    """Answer over HTTP what was known: REST under /v1, /mcp, /health, /metrics.

    Reads the store of the home that is set, and cannot write to it. On an address that others can
    reach it listens only if OTC_API_TOKEN is set, and then asks for it. Needs the extra
    `otc_assets[serve]`.

    \b
    Example: otc serve --workers 2
    """
    try:
        import fastapi  # noqa: F401, PLC0415
        import mcp  # noqa: F401, PLC0415
        import uvicorn  # noqa: F401, PLC0415
    except ImportError:
        raise ValueError("install the extra first: pip install 'otc_assets[serve]'") from None
    from otc_assets.serving.server import serve as listen  # noqa: PLC0415  # it imports FastAPI

    listen(host, port, workers)
