"""`otc metrics`: an exporter for Prometheus."""

import click


@click.command()
@click.option("--port", default=9464, show_default=True, help="Where to answer scrapes.")
@click.option(
    "--address",
    default="127.0.0.1",
    show_default=True,
    help="At which address of this machine to listen.",
)
@click.option("--push", metavar="URL", help="Send all once to a Pushgateway, and end.")
def metrics(port: int, address: str, push: str | None) -> None:
    """Answer Prometheus's scrapes of /metrics, from the store and Dagster's instance.

    Reads both anew for each scrape, and writes to neither. For a job that nobody scrapes, such as a
    CronJob, --push sends the same once. Needs the extra `otc_assets[monitoring]`.

    \b
    Example: otc metrics --port 9464
    """
    try:
        import prometheus_client  # noqa: F401, PLC0415
    except ImportError:
        raise ValueError("install the extra first: pip install 'otc_assets[monitoring]'") from None
    from otc_assets.monitoring import exporter  # noqa: PLC0415  # it imports Dagster

    if push:
        exporter.push(push)
        click.echo(f"pushed to {push}")
        return
    url, thread = exporter.serve(address, port)
    click.echo(url, err=True)
    thread.join()
