"""The server: which tools there are, and what becomes of a call, over any transport."""

import logging
import warnings
from typing import Any

import anyio
import orjson
from anyio.to_thread import run_sync
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    TextContent,
    ToolAnnotations,
)
from mcp_types import Tool as Described
from pydantic import ValidationError

from otc_assets.research.knowledge import UnknownSymbol
from otc_assets.serving.limits import QUERY_SECONDS
from otc_assets.serving.mcp.explained import ExplainNumber
from otc_assets.serving.mcp.market import Coverage, TopMovers, VenueLeague
from otc_assets.serving.mcp.symbols import CorrectionHistory, FindSymbol, WhatWasKnown
from otc_assets.serving.mcp.tool import Tool
from otc_assets.serving.problems import ENDED, Problem
from otc_assets.warehouse.engine import StoreError
from otc_assets.warehouse.events import code_version

TOOLS: dict[str, type[Tool]] = {
    tool.named(): tool
    for tool in (
        FindSymbol,
        WhatWasKnown,
        CorrectionHistory,
        TopMovers,
        VenueLeague,
        Coverage,
        ExplainNumber,
    )
}
"""Each tool by its name."""
INSTRUCTIONS = """
FINRA's weekly off-exchange volume of US stocks, as it was known on any day: dark pools (dataset
ats) and dealers (non_ats), by tier (NMS Tier 1, NMS Tier 2, OTC) and week, which is named by its
Friday. FINRA publishes a week two to four weeks later, and corrects it at times: an answer is true
as of `meta.as_of`, which belongs beside every number that is told. Give `day` to see only what was
known then, as a backtest has to. Find a symbol's spelling with find_symbol. An answer has at most
`limit` rows; `meta.total` says how many there are, and `meta.more` how to ask for the others. Data
provided by FINRA, for the user's own, non-commercial use.
""".strip()
SHOWN = 3
"""Wrong arguments that are told at once."""
log = logging.getLogger(__name__)


def create_server() -> Server[Any]:
    """Return a server of all tools; it keeps nothing."""
    return Server(
        "otc_assets",
        version=code_version(),
        title="FINRA off-exchange volume, as it was known",
        instructions=INSTRUCTIONS,
        on_list_tools=_listed,
        on_call_tool=_called,
    )


def serve_stdio() -> None:
    """Answer one client over stdin and stdout, until it closes them."""
    warnings.filterwarnings("ignore", category=UnknownSymbol)  # the answers say it

    async def serve() -> None:
        server = create_server()
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())

    anyio.run(serve)


async def _listed(_context: Any, _params: Any) -> ListToolsResult:
    reads = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
    return ListToolsResult(
        tools=[
            Described(
                name=name,
                title=tool.title,
                description=" ".join((tool.__doc__ or "").split()),
                input_schema=_input_schema(tool),
                output_schema=tool.output_schema(),
                annotations=reads,
            )
            for name, tool in TOOLS.items()
        ]
    )


def _input_schema(tool: type[Tool]) -> dict[str, Any]:
    schema = tool.model_json_schema()
    del schema["description"]  # that of the tool
    return schema


async def _called(_context: Any, params: CallToolRequestParams) -> CallToolResult:
    tool = TOOLS.get(params.name)
    if tool is None:
        there = ", ".join(TOOLS)
        message = f"no tool {params.name[:50]!a}; there are {there}"
        raise MCPError(code=INVALID_PARAMS, message=message)
    return await run_sync(_answered, tool, params.arguments or {})


def _answered(tool: type[Tool], arguments: dict[str, Any]) -> CallToolResult:
    try:
        answer = tool.model_validate(arguments).answer()
    except ValidationError as error:
        return _wrong("; ".join(_told(tool, each) for each in error.errors()[:SHOWN]))
    except Problem as problem:
        return _wrong(f"{problem.argument}: {problem.detail}")
    except StoreError as error:
        return _wrong(_store(error))
    except Exception:
        log.exception("while %s was answered", tool.named())
        return _wrong("an error of the server's own; its log has more")
    text = TextContent(text=answer.decode())  # for clients that know nothing of structured content
    return CallToolResult(content=[text], structured_content=orjson.loads(answer))


def _wrong(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=text)], is_error=True)


def _told(tool: type[Tool], error: Any) -> str:
    """Say which argument is wrong, and what is allowed."""
    argument = ".".join(ascii(part)[1:-1][:50] for part in map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        return f"{argument}: no such argument; there are {', '.join(tool.model_fields)}"
    return f"{argument}: {error['msg']}"


def _store(error: StoreError) -> str:
    if any(said in str(error) for said in ENDED):
        return f"the query took longer than {QUERY_SECONDS} s: ask for one week, or a later day"
    log.error("the store cannot be read: %s", error)
    return f"the store cannot be read: {error}"
