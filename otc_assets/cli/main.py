"""The group of commands, and what becomes of an error."""

import sys
import warnings

import click

from otc_assets.cli.ask import as_of_day, export, symbol_history
from otc_assets.cli.doctor import doctor
from otc_assets.cli.explain import explain
from otc_assets.cli.history import fetch_history
from otc_assets.cli.home import migrate
from otc_assets.cli.mcp import mcp
from otc_assets.cli.metrics import metrics
from otc_assets.cli.notify import notify
from otc_assets.cli.retention import restore, retain
from otc_assets.cli.serve import serve
from otc_assets.cli.standing import list_gaps, status
from otc_assets.cli.venues import venues
from otc_assets.cli.verify import verify
from otc_assets.logs import warning_line
from otc_assets.warehouse.engine import StoreError

COMMANDS = (
    status,
    list_gaps,
    as_of_day,
    symbol_history,
    explain,
    venues,
    verify,
    export,
    doctor,
    metrics,
    migrate,
    fetch_history,
    retain,
    restore,
    notify,
    serve,
    mcp,
)


class Otc(click.Group):
    """Prints what is wrong in one line, and exits with 2, where Python would print a traceback."""

    def invoke(self, context: click.Context) -> object:
        """Run a command."""
        with warnings.catch_warnings():
            warnings.showwarning = _say
            try:
                return super().invoke(context)
            except (StoreError, KeyError, OSError, TypeError, ValueError) as error:
                said = error.args[0] if isinstance(error, KeyError) else error
                raise click.UsageError(str(said)) from error


def _say(message: Warning | str, *_: object, **__: object) -> None:
    click.echo(warning_line(message), err=True)


@click.group(cls=Otc, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="otc_assets")
def otc() -> None:
    """FINRA's weekly off-exchange volume, as it was known.

    Reads the store of the home that is set (OTC_HOME, OTC_DATABASE_URL), and never writes to it;
    `migrate`, `fetch-history`, `retain --apply`, `restore` and `notify` alone do. Prints tables on
    a terminal and CSV into a pipe. Exits with 0 if all is well, 1 if something is wrong with the
    data or nothing was found, 2 after wrong use.
    """


for command in COMMANDS:
    otc.add_command(command)

if __name__ == "__main__":
    sys.exit(otc())
