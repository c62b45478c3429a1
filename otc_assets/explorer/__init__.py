"""The explorer: the store as pages for people, made on the server and whole without script.

Belongs here: which facts a page shows (one module for each view), its template, and how its URL is
read. Does not belong here: what a number is, which `research` knows, and who may ask, which
`serving` decides. May import `research` and what stands below it; `serving` includes its router.
Every page is a function of its URL and of the store, and says as of which day it is.
"""
