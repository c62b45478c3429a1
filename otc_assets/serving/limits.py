"""What a request may cost: rows, weeks, symbols, seconds, and how many at the same time."""

DEFAULT_ROWS, MAX_ROWS = 1_000, 10_000
"""Of a page. The largest tier has some 7,500 symbols in a week: a week fits on one page."""
MAX_SYMBOLS = 50
MAX_WEEKS = 110
"""Named in one request: two years. Without a week, a request is of all weeks, by cursor."""
MAX_PARTS = 30
"""Slices that are read for one page: a page may have fewer rows than asked for, and a cursor."""
MAX_TEXT = 200
"""Characters of a symbol, a venue, or a search."""
MAX_CURSOR = 2_000

QUERY_SECONDS = 10
"""Of one query in the database, which then ends it."""
THREADS = 4
"""Requests that are worked on at the same time in a process; others wait."""
MAX_IN_FLIGHT = 64
"""Requests of a process that are worked on, wait or are being sent; others come back later."""
MAX_STREAMS = 2
"""Whole tables that a process sends at the same time."""
MAX_CONNECTIONS = 1_000
"""Of a process."""
MAX_HEADER_BYTES = 16 * 1024
HEADER_SECONDS = 10
"""For a client to send a request."""
KEEP_ALIVE_SECONDS = 5
SHUTDOWN_SECONDS = 10
"""For answers that are being sent when the server is told to end."""
STUCK_SECONDS = 60
"""After which a process that gives no sign of life is replaced; its answers are lost."""
SEND_SECONDS = 20
"""For a client to take `SEND_BYTES`: slower ones are cut off."""
SEND_BYTES = 256 * 1024
BURST_SECONDS = 2
"""Of requests at the allowed rate that a client may send at once."""
MAX_CLIENTS = 10_000
"""Whose rate a process remembers."""
MIN_TOKEN = 16
"""Characters."""

MAX_ANSWER_BYTES = 20_000
"""Of JSON that a tool of MCP answers with: some 7,000 tokens."""
TOOL_ROWS, MAX_TOOL_ROWS = 20, 200
"""Of an answer of a tool; fewer if they do not fit."""
MAX_MESSAGE_BYTES = 64 * 1024
"""Of a message to `/mcp`."""
