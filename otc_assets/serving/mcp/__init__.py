"""Tools for clients that speak MCP (Model Context Protocol): what `research` answers, in small.

Belongs here: which tools there are, their arguments, and answers that fit a client's context. Does
not belong here: what an answer is, which `research` knows. The package `mcp` is the official SDK;
it keeps the protocol. Two transports have the same tools: `otc mcp` (stdin and stdout), and `/mcp`
of `otc serve`, behind the same guard as all of it.
"""
