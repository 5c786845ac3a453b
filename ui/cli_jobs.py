"""Commands on queued work: jobs list, show, cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from ui.cli_corpus import AsJson, said_counts
from ui.terminal import print_json, print_line

if TYPE_CHECKING:
    from governance.jobs import Job

jobs = typer.Typer(help="Queued work: list, show, cancel.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(jobs, name="jobs")


@jobs.command("list")
def list_all_jobs(as_json: AsJson = False) -> None:
    """List the latest jobs."""
    from governance.jobs import job_value, list_jobs
    from governance.store import now
    from ui.installation import Installation

    found = list_jobs(Installation().store)
    if as_json:
        print_json({"jobs": [job_value(job, at=now()) for job in found]})
        return
    for job in found:
        print_line(_headline(job))


@jobs.command("show")
def show_job(job_id: str, as_json: AsJson = False) -> None:
    """Show how far a job is, how long it has taken and about how long it will, or how it ended."""
    from governance.jobs import find_job, job_value
    from governance.store import now
    from ui.installation import Installation

    job = find_job(Installation().store, job_id)
    value = job_value(job, at=now())
    if as_json:
        print_json(value)
        return
    print_line(_headline(job))
    if value["elapsed_seconds"] is not None:
        print_line(f"  {say_times(value)}")
    if "counts" in job.result:
        print_line(f"  {said_counts(job.result['counts'])}")
    for line in job.result.get("lines", ()):
        print_line(f"  {line}")


@jobs.command("cancel")
def cancel(job_id: str) -> None:
    """Cancel a job; what it has read is kept."""
    from governance.jobs import cancel_job
    from ui.installation import Installation

    job = cancel_job(Installation().store, job_id)
    print_line(f"{job.id} is {job.status}")


def say_times(value: dict[str, Any]) -> str:
    """Return the time a job has taken, and about how much is left where that can be told."""
    left = value["remaining_seconds"]
    about = f", about {say_seconds(left)} left" if left is not None else ""
    return f"{say_seconds(value['elapsed_seconds'])}{about}"


def say_seconds(seconds: float) -> str:
    """Return a time in the two units that tell."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _headline(job: Job) -> str:
    return f"{job.id}  {job.kind}  {job.status}  {job.progress:.0%}  {job.message}"
