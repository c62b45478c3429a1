"""How rules are registered: those of the weekly tables in `rules`, those of others beside it."""

from collections.abc import Callable

import pandas as pd

from otc_assets.domain.quality import Finding, Rule, Severity, SliceView

Evaluate = Callable[[SliceView], Finding]


class Rulebook(list[Rule]):
    """Rules in the order in which they are written."""

    def rule(
        self, table: str, severity: Severity, *, blocking: bool = False, looks_back: bool = False
    ) -> Callable[[Evaluate], Evaluate]:
        """Register a function as a rule of ``table``; its name is the rule's."""

        def register(evaluate: Evaluate) -> Evaluate:
            name = evaluate.__name__.removeprefix(f"{table}_")
            self.append(Rule(name, table, severity, evaluate, blocking, looks_back))
            return evaluate

        return register


def none_of(rows: pd.DataFrame, bad: "pd.Series[bool]", named: str) -> Finding:
    """Say how many rows are bad, and which is the first: ``named`` is a format of its columns."""
    if not bad.any():
        return Finding(True, {"rows": len(rows)})
    return Finding(False, {"rows": int(bad.sum()), "first": named.format_map(rows[bad].iloc[0])})
