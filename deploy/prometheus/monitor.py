"""Runs exporter, Prometheus and Alertmanager until Ctrl-C: `make monitor`.

All three listen on 127.0.0.1 only. What Prometheus records lies in the home that is set, so that
two homes never share a history.
"""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from deploy.prometheus.rules import FOLDER
from otc_assets.settings import home, is_address, setting

INSTALL = "sudo apt-get install prometheus prometheus-alertmanager"
"""What a user runs to have both, on Debian and Ubuntu."""
PROMETHEUS, ALERTMANAGER = "prometheus", "prometheus-alertmanager"
OTC = str(Path(sys.executable).with_name("otc"))
LOOK = """\
Prometheus:   http://127.0.0.1:9090/alerts
Alertmanager: http://127.0.0.1:9093  (deploy/prometheus/alertmanager.yml says whom it tells)
Exporter:     http://127.0.0.1:9464/metrics
Ctrl-C ends all of them."""


def prometheus(config: Path, data: Path, port: int) -> list[str]:
    """Return the command of a Prometheus."""
    return [
        PROMETHEUS,
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]


def alertmanager(config: Path, data: Path, port: int) -> list[str]:
    """Return the command of an Alertmanager of its own, without a cluster."""
    return [
        ALERTMANAGER,
        f"--config.file={config}",
        f"--storage.path={data}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        "--log.level=warn",
    ]


def main() -> str | None:
    """Run them until one ends or Ctrl-C; return what went wrong."""
    if not shutil.which(PROMETHEUS):
        return f"Prometheus is not installed: {INSTALL}"
    data = _data()
    commands = [
        [OTC, "metrics", "--port", "9464"],
        prometheus(FOLDER / "prometheus.yml", data / "prometheus", 9090),
    ]
    if shutil.which(ALERTMANAGER):
        commands.append(alertmanager(FOLDER / "alertmanager.yml", data / "alertmanager", 9093))
    else:
        print(f"No Alertmanager: alerts show in Prometheus alone. {INSTALL}")
    print(LOOK)
    return run_until_one_ends(commands)


def _data() -> Path:
    """Return where the history lies; not in Dagster's folder unless the home is a bucket."""
    folder = setting("OTC_DAGSTER_DIR") if is_address(home()) else home()
    return Path(folder) / "monitoring"


def run_until_one_ends(commands: list[list[str]]) -> str | None:
    """Run processes side by side; end all if one ends or we are told to. Return which one ended."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    processes: list[subprocess.Popen[bytes]] = []
    try:
        processes.extend(subprocess.Popen(command) for command in commands)
        while True:
            for process, command in zip(processes, commands, strict=True):
                if process.poll() is not None:
                    return (
                        f"{command[0]} ended with {process.returncode}; the others were ended too"
                    )
            time.sleep(0.2)
    except KeyboardInterrupt:
        return None
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
