"""How rules are registered: those of the weekly tables in `rules`, those of others beside it."""

from collections.abc import Callable

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
