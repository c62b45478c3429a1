"""The HTTP server: what `research` answers, for programs and people on the other side of a socket.

Belongs here: arguments from a URL, pages, formats, errors, and who may ask how often. Does not
belong here: what an answer is, which `research` knows. May import `research`, `monitoring` and what
stands below them; imported by nobody but the command `otc serve`, so that no other command waits
for its libraries. Reads the store read-only, and keeps nothing between two requests but caches that
are compared with the store, so that any number of processes give the same answers.
"""
