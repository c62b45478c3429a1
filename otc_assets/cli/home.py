"""`otc migrate`: brings a home to this version."""

import click

from otc_assets.operations.homes import bring_up
from otc_assets.settings import setting
from otc_assets.warehouse.engine import shown


@click.command()
def migrate() -> None:
    """Bring the home that is set to this version, and say which it is.

    Moves what an earlier version kept in `.otc` to a home of its own, brings the tables of the
    store up to date, and marks archive and features as this store's. Creates no store. Safe to
    repeat.

    \b
    Example: OTC_HOME=/data/otc otc migrate
    """
    for line in bring_up():
        click.echo(line)
    store = shown(setting("OTC_DATABASE_URL"))
    click.echo(f"Home: {setting('OTC_HOME')} (OTC_HOME); store: {store}")
