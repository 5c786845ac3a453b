"""The HTTP API of uploads and jobs, for who acts as owner.

    POST   /api/collections/NAME/files          multipart files (and `label`)   202 with the job
    GET    /api/collections/NAME/files
    DELETE /api/collections/NAME/files/FILE                                     202 with the job
    GET    /api/jobs   GET /api/jobs/ID         progress, seconds taken and left
    POST   /api/jobs/ID/cancel   DELETE /api/jobs/ID

A page of another site that a browser of this machine shows could send a form here, with the browser's own credentials;
so requests that change something are refused where the browser says that they come from elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from assistant.upload_stream import UploadStream
from governance.access import OWNER_ROLE, act_as, local_owner
from governance.errors import BadInput, RefusedByPolicy
from governance.jobs import Job, cancel_job, find_job, job_value, list_jobs
from governance.locks import holder
from governance.settings import Settings
from governance.store import Store, now
from governance.worker import worker_lock
from ingest.incoming import IncomingFiles
from ingest.uploads import UploadedFile, Uploads

_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
                        "label": {"type": "array", "items": {"type": "string"}},
                    },
                }
            }
        },
    }
}


def make_upload_router(store: Store, settings: Settings) -> APIRouter:
    """Return the routes of an installation's uploads and jobs."""

    def ask_owner(principal: str = "") -> None:
        """Let only owners through; who names nobody acts as the owner of this home, as everywhere in the API."""
        with store.session() as session:
            asking = act_as(session, principal) if principal else local_owner(session)
        if asking.role != OWNER_ROLE:
            raise RefusedByPolicy(f"{asking.name} is no owner; only an owner may change what is indexed.")

    router = APIRouter(prefix="/api", dependencies=[Depends(refuse_other_sites), Depends(ask_owner)])
    _add_files(router, store, settings)
    _add_jobs(router, store)
    return router


def refuse_other_sites(request: Request) -> None:
    """Raise RefusedByPolicy for a change that a page of another site asks for."""
    if request.method in {"GET", "HEAD"}:
        return
    site, origin = request.headers.get("Sec-Fetch-Site", ""), request.headers.get("Origin", "")
    elsewhere = bool(origin) and urlsplit(origin).netloc != request.headers.get("Host", "")
    if site not in {"none", "same-origin"} if site else elsewhere:  # a proxy may change the host, never the site
        raise RefusedByPolicy("A page of another site may not change what is indexed here.")


def _add_files(router: APIRouter, store: Store, settings: Settings) -> None:
    uploads = Uploads(store, settings)

    @router.post("/collections/{collection}/files", status_code=202, openapi_extra=_FORM)
    async def upload(collection: str, request: Request) -> JSONResponse:
        """Keep files and queue their ingest."""
        with uploads.receive(collection) as incoming:
            labels = await _receive(request, incoming)
            kept, jobs = await run_in_threadpool(uploads.keep, incoming, collection, labels=labels)
        return _accepted(jobs, settings, {"collection": collection, "files": [_file_value(file) for file in kept]})

    @router.get("/collections/{collection}/files")
    def files(collection: str) -> dict[str, Any]:
        """List the uploaded files of a collection."""
        return {"files": [_file_value(file) for file in uploads.list_files(collection)]}

    @router.delete("/collections/{collection}/files/{name}", status_code=202)
    def delete(collection: str, name: str) -> JSONResponse:
        """Delete an uploaded file and queue the ingest that takes its document out of the index."""
        job = uploads.delete(name, collection)
        return _accepted([job], settings, {"collection": collection, "deleted": name})


def _add_jobs(router: APIRouter, store: Store) -> None:
    @router.get("/jobs")
    def jobs(limit: int = 20) -> dict[str, Any]:
        """List the latest jobs."""
        return {"jobs": [job_value(job, at=now()) for job in list_jobs(store, limit=max(1, min(limit, 200)))]}

    @router.get("/jobs/{job_id}")
    def job(job_id: str) -> dict[str, Any]:
        """Tell how far a job is."""
        return job_value(find_job(store, job_id), at=now())

    @router.post("/jobs/{job_id}/cancel")
    @router.delete("/jobs/{job_id}")
    def cancel(job_id: str) -> dict[str, Any]:
        """Cancel a job; what it has read is kept."""
        return job_value(cancel_job(store, job_id), at=now())


async def _receive(request: Request, incoming: IncomingFiles) -> list[str]:
    """Take the body as it comes and return the labels in it."""
    stream = UploadStream(request.headers.get("Content-Type", ""), incoming)
    try:
        async for piece in request.stream():
            await run_in_threadpool(stream.feed, piece)
    except ClientDisconnect as error:
        raise BadInput("The client went away before the form was whole; nothing was kept.") from error
    stream.end()
    return stream.labels


def _accepted(jobs: Sequence[Job], settings: Settings, value: dict[str, Any]) -> JSONResponse:
    working = holder(worker_lock(settings)) is not None
    answer = {
        **value,
        "job": jobs[0].id,
        "jobs": [job.id for job in jobs],
        "status": jobs[0].status,
        "worker_running": working,
    }
    return JSONResponse(answer, status_code=202, headers={"Location": f"/api/jobs/{jobs[0].id}"})


def _file_value(file: UploadedFile) -> dict[str, Any]:
    return {**asdict(file), "labels": list(file.labels)}
