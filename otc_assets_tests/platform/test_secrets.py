"""No secret is in anything that the platform prints, logs or stores, whichever way it fails."""

import base64
import contextlib
import json
import logging
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import dagster as dg
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from dagster._core.test_utils import instance_for_test
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster._serdes import serialize_value

from otc_assets.assets import platform as platform_module
from otc_assets.assets.platform import Platform
from otc_assets.automation.incidents import notifications
from otc_assets.cli.main import otc
from otc_assets.definitions import build_defs
from otc_assets.domain.datasets import ATS
from otc_assets.settings import ADDRESSES, DEFAULTS, setting
from otc_assets.sources import finra_client
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.finra.conftest import NoLimit
from otc_assets_tests.finra.faults import Fault
from otc_assets_tests.finra.server import FinraServer
from otc_assets_tests.finra.world import World
from otc_assets_tests.sinks import http_sink
from otc_assets_tests.ui import ask

PASSWORD, CLIENT, SECRET, KEY = "pw&7f3a/db", "id+7f3a", "cs:7f3a=", "key#7f3a"
PARTITION = "OTC|2025-05-16"
NOWHERE = "127.0.0.1:9"


def forms(secret: str) -> set[str]:
    """A secret as it is, percent-encoded, and in base64 (of HTTP's basic login too)."""
    encoded = {base64.b64encode(text.encode()).decode() for text in (secret, f"{CLIENT}:{secret}")}
    return {secret, quote(secret, safe=""), *(text.rstrip("=") for text in encoded)}


SECRETS = {name: forms(name) for name in (PASSWORD, CLIENT, SECRET, KEY)}


def found_in(texts: list[str], secrets: dict[str, set[str]] = SECRETS) -> list[str]:
    """Where a secret shows: the text around it."""
    known = {form for each in secrets.values() for form in each}
    found = ((text, text.find(form)) for text in texts for form in known)
    return [text[max(0, at - 120) : at + 120] for text, at in found if at >= 0]


class AuthenticationServer:
    """A PostgreSQL server that asks for the password and refuses it."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # closed, or a client that has gone
            while True:
                client, _ = self._socket.accept()
                with client, contextlib.suppress(OSError):
                    self._refuse(client)

    def _refuse(self, client: socket.socket) -> None:
        while struct.unpack(">ii", client.recv(4096)[:8])[1] != 196608:  # TLS? No.
            client.sendall(b"N")
        client.sendall(b"R" + struct.pack(">ii", 8, 3))
        client.recv(4096)
        said = b'SFATAL\0C28P01\0Mpassword authentication failed for user "otc"\0\0'
        client.sendall(b"E" + struct.pack(">i", len(said) + 4) + said)

    def close(self) -> None:
        self._socket.close()


def answer_of_the_ui(instance: dg.DagsterInstance, run_id: str) -> str:
    """Return what the UI's page of a run asks by GraphQL, and is answered."""
    with WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as process:
        answer = ask(process, PAGE_OF_A_RUN, run=run_id)
    events = answer["logsForRun"]["events"]
    assert any(event["__typename"] == "ExecutionStepFailureEvent" for event in events)
    return json.dumps(answer)


PAGE_OF_A_RUN = """
query ($run: ID!) {
  runOrError(runId: $run) { ... on Run { status runConfigYaml tags { key value } } }
  logsForRun(runId: $run) {
    ... on EventConnection {
      events {
        __typename
        ... on MessageEvent { message }
        ... on ErrorEvent { error { message stack errorChain { error { message stack } } } }
      }
    }
  }
}
"""


@dataclass
class Told:
    """Whatever comes out of the platform."""

    patch: pytest.MonkeyPatch
    caplog: pytest.LogCaptureFixture
    home: Path
    texts: list[str] = field(default_factory=list)

    def use(self, **settings: str) -> None:
        """Set these and no others."""
        for name in DEFAULTS:
            self.patch.setenv(name, settings.get(name, ""))
        self.patch.setenv("DAGSTER_POSTGRES_URL", f"mysql://otc:{PASSWORD}@{NOWHERE}/dagster")
        self.patch.setenv("OTC_HOME", settings.get("OTC_HOME", str(self.home)))

    def command(self, *arguments: str) -> None:
        done = CliRunner().invoke(otc, arguments)
        assert done.exit_code, arguments
        self.texts += [done.output, done.stderr]
        if done.exc_info:
            self.texts += traceback.format_exception(*done.exc_info)

    def run(self) -> None:
        """Materialize raw, and keep all that Dagster has of the run."""
        for cached in ("_warehouse", "_files", "_client"):
            getattr(platform_module, cached).cache_clear()
        job = build_defs([ATS], platform=Platform()).resolve_implicit_global_asset_job_def()
        with instance_for_test() as instance:
            result = job.execute_in_process(
                instance=instance,
                asset_selection=[dg.AssetKey("raw")],
                partition_key=PARTITION,
                raise_on_error=False,
            )
            assert not result.success
            records = instance.all_logs(result.run_id)
            run = instance.get_run_by_id(result.run_id)
            assert run
            self.texts += [serialize_value(record) for record in records]
            self.texts += [record.user_message for record in records]
            self.texts += [serialize_value(run), repr(run.tags)]
            self.texts.append(answer_of_the_ui(instance, result.run_id))
            files = [path for path in Path(instance.root_directory).rglob("*") if path.is_file()]
            assert any(path.suffix == ".err" for path in files)  # what the run printed
            self.texts += [path.read_bytes().decode(errors="replace") for path in files]

    def store(self, path: Path) -> None:
        """Keep all that is in a store: manifest, dead letters and events among it."""
        if path.is_file():
            with contextlib.closing(sa.create_engine(f"sqlite:///{path}").raw_connection()) as raw:
                assert raw.driver_connection
                self.texts.append("\n".join(raw.driver_connection.iterdump()))

    def leaks(self, printed: str, secrets: dict[str, set[str]] = SECRETS) -> list[str]:
        """Return where a secret shows, of all that came."""
        logged = [
            f"{record.getMessage()} {record.exc_text or ''}"
            for record in self.caplog.records
            if record.levelno >= logging.INFO
        ]
        return found_in([*self.texts, *logged, printed], secrets)


@pytest.fixture
def told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[Told]:
    """A home in which nothing is, and no waiting for FINRA."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(finra_client, "RateLimit", lambda requests_per_second: NoLimit())
    real = finra_client.FinraClient.__init__

    def impatient(self: object, *args: object, **options: object) -> None:
        real(self, *args, **{**options, "first_wait_seconds": 0.001, "attempts": 2})  # type: ignore

    monkeypatch.setattr(finra_client.FinraClient, "__init__", impatient)
    (tmp_path / "source").mkdir()
    told = Told(monkeypatch, caplog, tmp_path)
    told.use()
    yield told
    for cached in ("_warehouse", "_files", "_client"):
        getattr(platform_module, cached).cache_clear()


COMMANDS = [
    ("status",),
    ("list-gaps",),
    ("as-of", "2025-08-01"),
    ("symbol-history", "ABCD"),
    ("explain", "NMS Tier 1:2025-05-16", "ABCD"),
    ("verify",),
    ("export", "x.csv"),
    ("doctor",),
    ("migrate",),
]


def databases(port: int) -> dict[str, str]:
    secret, plain = quote(PASSWORD, safe=""), PASSWORD
    return {
        "refused": f"postgresql+psycopg://otc:{secret}@127.0.0.1:{port}/otc",
        "unreachable": f"postgresql+psycopg://otc:{secret}@{NOWHERE}/otc",
        "in the query": f"postgresql+psycopg://otc@{NOWHERE}/otc?password={secret}",
        "another driver": f"mysql://otc:{secret}@{NOWHERE}/otc",
        "unescaped": f"postgresql+psycopg://otc:{plain}@{NOWHERE}/otc",
        "no address": f"postgresql+psycopg:/otc:{plain}",
    }


@pytest.fixture
def postgres_that_refuses() -> Iterator[AuthenticationServer]:
    server = AuthenticationServer()
    yield server
    server.close()


@pytest.mark.parametrize("kind", databases(0))
def test_the_password_of_the_store_is_nowhere(
    told: Told, capfd: pytest.CaptureFixture[str], postgres_that_refuses, kind: str
):
    told.use(OTC_DATABASE_URL=databases(postgres_that_refuses.port)[kind])
    for command in COMMANDS:
        told.command(*command)
    told.run()
    assert told.leaks("".join(capfd.readouterr())) == []


@pytest.mark.parametrize("name", ["OTC_SOURCE_URL", "OTC_ARCHIVE_URL", "OTC_HOME"])
def test_a_password_in_an_address_is_nowhere(
    told: Told, capfd: pytest.CaptureFixture[str], name: str
):
    told.use(**{name: f"sftp://user:{quote(KEY, safe='')}@{NOWHERE}/finra"})
    for command in (("doctor",), ("verify",), ("migrate",)):
        with contextlib.suppress(AssertionError):  # one that does not need it may well succeed
            told.command(*command)
    told.run()
    told.store(told.home / "otc.db")
    assert told.leaks("".join(capfd.readouterr())) == []


@pytest.mark.parametrize("name", ADDRESSES)
@pytest.mark.parametrize("password", ["pw", "p/w", "p@w:x", "%2F"])
def test_an_address_with_a_password_is_refused_by_the_name_of_its_setting(
    told: Told, name: str, password: str
):
    told.use(**{name: f"https://user:{password}@example.com/finra"})
    with pytest.raises(ValueError, match=f"^{name} has a password in it") as refused:
        setting(name)
    assert password not in str(refused.value)


@pytest.mark.parametrize(
    "address", ["s3://bucket/a:b@c", "http://127.0.0.1:9000/a@b", "sftp://user@host/x", "/a:b@c"]
)
def test_an_address_without_a_password_is_taken(told: Told, address: str):
    told.use(OTC_ARCHIVE_URL=address)
    assert setting("OTC_ARCHIVE_URL") == address


FAULTS = [Fault.BAD_REQUEST, Fault.EXPIRED, Fault.UNAVAILABLE]


@pytest.mark.parametrize("fault", [*FAULTS, None], ids=str)
def test_finras_credentials_and_tokens_are_nowhere(
    told: Told, capfd: pytest.CaptureFixture[str], fault: Fault | None
):
    right = (CLIENT, SECRET) if fault else (CLIENT, "another")
    world = World()
    with FinraServer(world, credentials=right, is_anonymous_allowed=False) as server:
        told.use(
            OTC_SOURCE="finra",
            OTC_SOURCE_URL=server.url,
            FINRA_CLIENT_ID=CLIENT,
            FINRA_CLIENT_SECRET=SECRET,
        )
        if fault:
            server.faults.always(fault)
        told.command("doctor")
        told.run()
        tokens = {token: forms(token) for token in server.tokens}
    told.store(told.home / "otc.db")
    assert told.leaks("".join(capfd.readouterr()), SECRETS | tokens) == []


def said_by_the_sensor() -> str:
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance, resources={"platform": Platform()})
        with context:
            try:
                return str(notifications(context))
            except ValueError as error:  # of which Dagster shows the text and the traceback
                return "".join(traceback.format_exception(error))


def addresses_of_people(port: int) -> dict[str, str]:
    login, token = f"otc:{quote(PASSWORD, safe='')}", quote(KEY, safe="")
    rest = f"/{token}?token={quote(SECRET, safe='')}&rto=0.3"
    return {
        "refused": f"json://{login}@{NOWHERE}{rest}",
        "answers 500": f"json://{login}@127.0.0.1:{port}{rest}",
        "mail": f"mailto://{login}@example.com?smtp=127.0.0.1&port=9&to=ops@example.com",
        "no address": f"nosuch://{login}@{NOWHERE}{rest}",
    }


@pytest.mark.parametrize("kind", ["refused", "answers 500", "mail", "no address"])
def test_what_is_in_an_address_of_people_is_nowhere(
    told: Told, capfd: pytest.CaptureFixture[str], kind: str
):
    Warehouse(setting("OTC_DATABASE_URL")).engine.dispose()
    with http_sink() as sink:
        sink.status = 500
        told.use(OTC_NOTIFY_URL=addresses_of_people(sink.port)[kind])
        for command in (("notify", "--test"), ("notify",)):
            told.command(*command)
        with contextlib.suppress(AssertionError):  # which may find that all is well
            told.command("doctor")
        platform_module._warehouse.cache_clear()
        told.texts.append(said_by_the_sensor())
    assert "sink 1" in str(told.texts) or "address 1" in str(told.texts)
    told.store(told.home / "otc.db")
    assert told.leaks("".join(capfd.readouterr())) == []


def test_a_secret_that_shows_would_be_found(told: Told, capfd: pytest.CaptureFixture[str]):
    for number, form in enumerate(sorted(form for each in SECRETS.values() for form in each)):
        assert found_in([f"before {form} after"]), number
    logging.getLogger("otc_assets.sources").warning("a log: %s", PASSWORD)
    sys.stdout.write(f"printed: {quote(KEY, safe='')}")
    told.texts.append(f"Basic {base64.b64encode(f'{CLIENT}:{SECRET}'.encode()).decode()}")
    assert len(told.leaks(capfd.readouterr().out)) >= 3
