"""Faults by the hundred: `make chaos`. docs/reliability.md has what each kind found."""
