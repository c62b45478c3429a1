"""`otc mcp`: the tools of MCP, over stdin and stdout."""

import click


@click.command("mcp")
def mcp() -> None:
    """Answer a client that speaks MCP, over stdin and stdout.

    The client starts this command itself; docs/mcp.md shows how to add it. Reads the store of the
    home that is set, and cannot write to it. `otc serve` has the same tools at /mcp. Needs the
    extra `otc_assets[serve]`.

    \b
    Example: OTC_HOME=/data/otc otc mcp
    """
    try:
        import fastapi  # noqa: F401, PLC0415
        import mcp  # noqa: F401, PLC0415
    except ImportError:
        raise ValueError("install the extra first: pip install 'otc_assets[serve]'") from None
    from otc_assets.serving.mcp.server import serve_stdio  # noqa: PLC0415  # it imports FastAPI

    serve_stdio()
