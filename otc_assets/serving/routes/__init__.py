"""The routes, by what is asked for; each calls a function of `research`, and computes nothing."""
