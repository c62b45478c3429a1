"""Dagster's runs, steps and slices as spans; what is below a slice is `tracing` in other layers.

Runs of the in-process executor have one span of the run. With an executor that gives each step a
process of its own, each process sends its step, and the span above them is in none.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar, cast

import dagster as dg

from otc_assets import tracing
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.grains import SliceKey
from otc_assets.warehouse.writer import RunIds

TRACE_TAG = "otc/trace_id"
"""The tag of a run that has its trace's id."""
IN_PROCESS = ("in_process", None)
"""The executors, as Dagster names them, by which one process does all steps; tests have none."""

Given = ParamSpec("Given")
Returned = TypeVar("Returned")


def open_run_span(
    context: dg.InitResourceContext, ids: Callable[[dg.DagsterRun], RunIds]
) -> tracing.Span:
    """Open the span of a run, and put its trace's id into the run's tags.

    It is a span that records nothing where there is no run (a sensor's tick), or no endpoint.
    """
    run, instance, log = context.run, context.instance, context.log
    if not (run and instance and log and tracing.is_wanted()):
        return tracing.NOTHING
    attributes = {
        "run_id": run.run_id,
        "job": run.job_name,
        "correlation_id": ids(run).correlation_id,
    }
    plan = instance.get_execution_plan_snapshot(run.execution_plan_snapshot_id or "")
    is_whole = plan.executor_name in IN_PROCESS
    span = tracing.open_run(run.run_id, attributes, log.warning, is_whole=is_whole)
    if span.trace_id:
        instance.add_run_tags(run.run_id, {TRACE_TAG: span.trace_id})
    return span


def close_run_span(span: tracing.Span, context: dg.InitResourceContext) -> None:
    """End the span of a run, send what is left, and say in the run's log what could not be sent."""
    if (said := span.close()) and context.log:
        context.log.warning(said)


def step(function: Callable[Given, Returned]) -> Callable[Given, Returned]:
    """Give what an asset, a check or an op does a span; an error marks the run's span as well."""
    if inspect.isgeneratorfunction(function):

        @wraps(function)
        def generate(*args: Given.args, **kwargs: Given.kwargs) -> Iterator[object]:
            with _step_span():
                yield from cast("Iterator[object]", function(*args, **kwargs))

        return cast("Callable[Given, Returned]", generate)

    @wraps(function)
    def call(*args: Given.args, **kwargs: Given.kwargs) -> Returned:
        with _step_span():
            return function(*args, **kwargs)

    return call


@contextmanager
def _step_span() -> Iterator[None]:
    run = tracing.current()
    if run is tracing.NOTHING:
        yield
        return
    context = dg.OpExecutionContext.get()
    with run.child("step", {"step": str(context.op_handle)}):
        try:
            yield
        except GeneratorExit:  # Dagster wants no more of its results
            raise
        except BaseException as error:
            run.fail(error)
            raise


def slice_span(dataset: Dataset, table: str, week: SliceKey) -> tracing.Span:
    """Return the span of one table of one slice."""
    return tracing.span(
        "slice", dataset=dataset.name, tier=week.section, week=week.period, table=table
    )
