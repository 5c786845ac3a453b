"""Parse files apart: in one long-lived worker process with caps, so that no file can take the ingest down with it.

    parse(path) -> path through a pipe -> worker -> JSON through a pipe -> ParsedDocument

The worker (`ingest.parser_worker` says what it gives up) is a new program with an environment of its own and no
input, never a fork. It is watched by the wall clock, is renewed after a number of files or when it has grown, and is
replaced when it dies. What comes back is JSON and never a pickle: a parser that was taken over can spoil the text of
its file, and cannot run anything here. A file that a used worker dies of, or finds too little memory for, is given
once more to a fresh one, so that no verdict depends on the files before it. Refuses to know what a parser does.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self

from governance.errors import BadInput, ProvenantError
from ingest.documents import ParsedDocument
from ingest.parser_worker import FAILED, HEAD, OUT_OF_MEMORY, PARSED, REFUSED, STARTED

PARSER_FUNCTION = "ingest.parse:parse_file"
_START_SECONDS = 60.0
_END_SECONDS = 5.0
_BEAT_SECONDS = 0.5
_MOST_ANSWER_BYTES = 256 * 1024 * 1024  # the text of a file of 20,000 pages has some 60
_PIPE_BYTES = 1024 * 1024
_KEPT_VARIABLES = ("LD_LIBRARY_PATH", "PATH", "TESSDATA_PREFIX")
_OWN_VARIABLES = {"LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Caps:
    """What a worker may use: address space in MB, seconds for one file, files before it is renewed."""

    megabytes: int = 1024
    seconds: int = 60
    files: int = 200


@dataclass(frozen=True)
class _Answer:
    """What became of one file: a kind of `ingest.parser_worker`, or how the worker was lost."""

    kind: bytes | Literal["slow", "lost"]
    body: bytes = b""


class IsolatedParser:
    """Parses files in a worker process, which starts with the first file. Threads that share one wait for each other.

    `parser` names the function as `module:name`. To be closed; whoever is killed instead leaves no worker behind.
    """

    def __init__(self, caps: Caps, *, parser: str = PARSER_FUNCTION) -> None:
        self.caps = caps
        self.function = parser
        self._lock = threading.Lock()
        self._worker: _Worker | None = None

    @property
    def process_id(self) -> int | None:
        """Return the process id of the worker, None where there is none at present."""
        return self._worker.process.pid if self._worker else None

    def parse(self, path: Path, *, mapping: str = "", beat: Callable[[], None] = lambda: None) -> ParsedDocument:
        """Return what the parser made of a file; `mapping` is the text of a catalogue's mapping file, "" for none.

        `beat` is called twice a second while a file is read; where it raises, the worker is ended at once.

        Raises BadInput, with the reason, where the parser refuses the file, fails, dies or needs more than its caps;
        ProvenantError where no worker can be started.
        """
        with self._lock:
            fresh = not self._fits(self._worker)
            request = {"path": str(path.absolute()), **({"mapping": mapping} if mapping else {})}
            answer = self._ask(request, beat)
            if answer.kind in {"lost", OUT_OF_MEMORY} and not fresh:
                answer = self._ask(request, beat)
        if answer.kind == PARSED:
            with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
                document = ParsedDocument.from_json(answer.body.decode("utf-8"))
                if _is_sound(document):
                    return document
        raise BadInput(self._reason(path.name, answer))

    def close(self) -> None:
        """End the worker."""
        with self._lock:
            self._discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _fits(self, worker: _Worker | None) -> bool:
        """Tell whether a worker can take another file. One of another thread cannot: it dies with that thread."""
        return (
            worker is not None
            and worker.thread is threading.current_thread()
            and worker.served < self.caps.files
            and worker.megabytes <= self.caps.megabytes // 2
            and worker.process.poll() is None
        )

    def _ask(self, request: Mapping[str, str], beat: Callable[[], None]) -> _Answer:
        if not self._fits(self._worker):
            self._discard()
        try:
            if self._worker is None:
                self._worker = _Worker(self.caps, self.function)
                self._worker.wait_until_started(beat)
            answer = self._worker.ask(request, beat)
        except BaseException:  # an interrupted worker would answer the next question with this one's answer
            self._discard()
            raise
        if answer.kind in {"slow", "lost", OUT_OF_MEMORY}:
            self._discard()
        return answer

    def _discard(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.end()

    def _reason(self, name: str, answer: _Answer) -> str:
        text = answer.body.decode("utf-8", "replace")
        if answer.kind == REFUSED:
            return text
        if answer.kind == "slow":
            return (
                f"{name} took longer than {self.caps.seconds} s to read: split it, save it anew, or raise "
                "PROVENANT_INGEST__PARSER_SECONDS."
            )
        if answer.kind == OUT_OF_MEMORY:
            return (
                f"{name} needed more than {self.caps.megabytes:,} MB to be read: split it, save it anew, or raise "
                "PROVENANT_INGEST__PARSER_MEGABYTES."
            )
        found = {"lost": text, FAILED: f"the reader failed ({text})"}.get(answer.kind, "the reader gave no document")
        return f"{name} could not be read: {found}. It may be damaged; save it anew from its source."


class _Worker:
    """One worker process with its two pipes. Belongs to the thread that started it and ends with it."""

    def __init__(self, caps: Caps, parser: str) -> None:
        self.thread = threading.current_thread()
        self.served = 0
        self.megabytes = 0
        self._caps = caps
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed by `end`; may find no room
        requests, self._requests = os.pipe()
        self._answers, answers = os.pipe()
        _widen(self._answers)
        numbers = (os.getpid(), requests, answers, caps.megabytes, caps.seconds, caps.files)
        try:
            self.process = subprocess.Popen(  # noqa: S603  our own module, no shell
                [sys.executable, "-P", "-m", "ingest.parser_worker", *map(str, numbers), parser],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=(requests, answers),
                cwd="/",
                env=_environment(),
                start_new_session=True,  # Ctrl-C is for the parent
            )
        except BaseException:
            self._close_pipes()
            raise
        finally:
            os.close(requests)
            os.close(answers)

    def wait_until_started(self, beat: Callable[[], None]) -> None:
        """Return when the worker has imported its parser. Raises ProvenantError where it does not get so far."""
        if self._read_answer(_START_SECONDS, beat).kind != STARTED:
            self._errors.seek(0)
            told = self._errors.read().decode("utf-8", "replace").strip().split("\n")[-1]
            raise ProvenantError(
                f"The process that reads files did not start ({told or 'it said nothing'}). Check the installation, "
                f"and that {self._caps.megabytes:,} MB (PROVENANT_INGEST__PARSER_MEGABYTES) are enough and free."
            )

    def ask(self, request: Mapping[str, str], beat: Callable[[], None]) -> _Answer:
        """Return what becomes of one file: its path, and what is handed to the parser beside it."""
        self.served += 1
        try:
            os.write(self._requests, json.dumps(request).encode("ascii") + b"\n")
        except BrokenPipeError:
            return self._lost()
        return self._read_answer(self._caps.seconds, beat)

    def end(self) -> None:
        """Kill the worker and everything it may have started, and wait for its end."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._close_pipes()

    def _close_pipes(self) -> None:
        os.close(self._requests)
        os.close(self._answers)
        self._errors.close()

    def _read_answer(self, seconds: float, beat: Callable[[], None]) -> _Answer:
        until = time.monotonic() + seconds
        try:
            kind, self.megabytes, size = HEAD.unpack(self._read(HEAD.size, until, beat))
            if size > _MOST_ANSWER_BYTES:
                return _Answer("lost", b"the reader gave back more than it can hold")
            return _Answer(kind, self._read(size, until, beat))
        except TimeoutError:
            return _Answer("slow")
        except EOFError:
            return self._lost()

    def _read(self, size: int, until: float, beat: Callable[[], None]) -> bytes:
        """Read exactly so many bytes. Raises TimeoutError, or EOFError where the worker is gone."""
        read = bytearray()
        waiting = select.poll()
        waiting.register(self._answers, select.POLLIN)
        while len(read) < size:
            if not waiting.poll(min(max(0.0, until - time.monotonic()), _BEAT_SECONDS) * 1000):
                if time.monotonic() >= until:
                    raise TimeoutError
                beat()
                continue
            part = os.read(self._answers, min(_PIPE_BYTES, size - len(read)))
            if not part:
                raise EOFError
            read += part
        return bytes(read)

    def _lost(self) -> _Answer:
        """Return how a worker ended that closed its pipe."""
        try:
            status = self.process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            return _Answer("lost", b"the reader stopped answering")
        if status == -signal.SIGXCPU:
            return _Answer("slow")
        if status == -signal.SIGKILL:
            return _Answer("lost", b"the reader was killed (signal 9), as happens when the machine's memory runs out")
        told = f"the reader crashed (signal {-status})" if status < 0 else f"the reader ended (exit status {status})"
        return _Answer("lost", told.encode("ascii"))


def _is_sound(document: ParsedDocument) -> bool:
    """Tell whether what a worker gave is text with places inside it: it may have been taken over by its file."""
    texts = (document.text, document.title, document.media_type, *document.warnings)
    spans = [
        *((page.start, page.end) for page in document.pages),
        *((clause.start, clause.end) for clause in document.clauses),
        *((run.start, run.end) for run in document.runs),
        *((note.start, note.end) for note in document.notes),
        *((note.reference, note.reference) for note in document.notes),
    ]
    numbers = all(type(at) is int for span in spans for at in span) and all(isinstance(text, str) for text in texts)
    return numbers and all(0 <= start <= end <= len(document.text) for start, end in spans)


def _environment() -> dict[str, str]:
    """Return all a worker learns of the environment: where modules and libraries are. No setting, no secret."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    places = [*(place for place in sys.path if place), str(Path(__file__).resolve().parent.parent)]
    return {**kept, **_OWN_VARIABLES, "PYTHONPATH": os.pathsep.join(dict.fromkeys(places))}


def _widen(pipe: int) -> None:
    """Let a pipe hold a whole document more often, where the system allows it."""
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
