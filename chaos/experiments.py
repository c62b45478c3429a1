"""Every experiment, in the order in which they are listed."""

from chaos.archive import ARCHIVE
from chaos.big_files import BIG_FILES
from chaos.clients import CLIENTS
from chaos.clock import CLOCK
from chaos.dagster_disk import DAGSTER_DISK
from chaos.disk import DISK
from chaos.experiment import Experiment
from chaos.files import FILES
from chaos.histories import HISTORIES
from chaos.kills import KILLS
from chaos.postgres import POSTGRES
from chaos.proxy import PROXY
from chaos.writers import WRITERS

EXPERIMENTS: tuple[Experiment, ...] = (
    KILLS,
    WRITERS,
    POSTGRES,
    PROXY,
    HISTORIES,
    FILES,
    BIG_FILES,
    ARCHIVE,
    CLOCK,
    DISK,
    DAGSTER_DISK,
    CLIENTS,
)
