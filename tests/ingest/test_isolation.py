"""Isolation: whatever a file does to its parser, the ingest goes on, and no process stays behind."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from governance.errors import BadInput, ProvenantError
from ingest.documents import ParsedDocument
from ingest.isolation import Caps, IsolatedParser
from ingest.parse import parse_file
from ingest.pipeline import IngestReport, IngestRequest, run_ingest
from ingest.publish import IngestTools, Progress, with_parser
from tests.conftest import SAMPLES

BAD = "tests.ingest.bad_parsers:parse"
CAPS = Caps(megabytes=256, seconds=1)
Say = Callable[[str], str]


@pytest.fixture
def parser() -> Iterator[IsolatedParser]:
    with IsolatedParser(CAPS, parser=BAD) as opened:
        yield opened


@pytest.fixture
def say(parser: IsolatedParser, tmp_path: Path) -> Say:
    """Parse a file that holds some text, and return the text or the refusal."""
    return lambda text: parsed(parser, tmp_path, text)


def parsed(parser: IsolatedParser, folder: Path, text: str, name: str = "file.txt") -> str:
    (folder / name).write_text(text)
    try:
        return parser.parse(folder / name).text
    except BadInput as error:
        return str(error)


def is_running(process_id: int) -> bool:
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def ends(process_id: int) -> bool:
    until = time.monotonic() + 5
    while is_running(process_id) and time.monotonic() < until:
        time.sleep(0.02)
    return not is_running(process_id)


def test_one_worker_reads_file_after_file(parser: IsolatedParser, say: Say) -> None:
    assert say("one") == "one"
    first = parser.process_id
    assert say("refuse The file is empty.") == "The file is empty."
    assert say("two") == "two"
    assert parser.process_id == first


def test_nothing_runs_before_the_first_file_and_after_the_end(tmp_path: Path) -> None:
    with IsolatedParser(CAPS, parser=BAD) as parser:
        assert parser.process_id is None
        assert parsed(parser, tmp_path, "one") == "one"
        worker = parser.process_id
        assert worker is not None
        assert is_running(worker)
    assert not is_running(worker)
    assert parser.process_id is None


@pytest.mark.parametrize("how", ["hang", "spin"])
def test_a_parser_that_hangs_is_killed_in_time(parser: IsolatedParser, say: Say, how: str) -> None:
    assert say("one") == "one"
    worker = parser.process_id
    started = time.monotonic()
    assert "file.txt took longer than 1 s to read" in say(how)
    assert time.monotonic() - started < 5
    assert worker is not None
    assert not is_running(worker)
    assert say("two") == "two"


def test_memory_is_capped(say: Say) -> None:
    assert say("eat 100") == "100"
    assert "file.txt needed more than 256 MB to be read" in say("eat 400")
    assert say("two") == "two"


def test_a_worker_that_has_grown_is_renewed_and_no_file_pays_for_another(parser: IsolatedParser, say: Say) -> None:
    assert say("eat 80") == "80"
    first = parser.process_id
    assert say("eat 200") == "200"
    assert parser.process_id != first
    grown = parser.process_id
    assert say("one") == "one"
    assert parser.process_id != grown


def test_a_crash_that_comes_of_an_earlier_file_is_tried_again(say: Say) -> None:
    assert say("crash-if-used") == "fresh"
    assert say("eat 1") == "1"
    assert say("crash-if-used") == "fresh"


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("beyond words", "gave no document"),
        (f"crash {signal.SIGSEGV:d}", "the reader crashed (signal 11)"),
        (f"crash {signal.SIGABRT:d}", "the reader crashed (signal 6)"),
        (f"crash {signal.SIGKILL:d}", "as happens when the machine's memory runs out"),
        (f"crash {signal.SIGXCPU:d}", "took longer than 1 s"),
        ("exit 3", "the reader ended (exit status 3)"),
        ("break", "the reader failed (KeyError: 'a bug\\nin a parser')"),
    ],
)
def test_a_parser_that_dies_or_fails_refuses_its_file(say: Say, how: str, reason: str) -> None:
    assert say("one") == "one"
    assert reason in say(how)
    assert say("two") == "two"


def test_sockets_are_barred(say: Say) -> None:
    assert "a parser may not use the network" in say("connect 127.0.0.1")


def test_machine_code_meets_no_network_where_the_system_has_namespaces(say: Say) -> None:
    if subprocess.run(["unshare", "-n", "true"], check=False).returncode:
        pytest.skip("this user may not leave the network")
    assert int(say("connect-by-machine-code 127.0.0.1")) == errno.ENETUNREACH


def test_nothing_can_be_written(say: Say, tmp_path: Path) -> None:
    assert "File too large" in say(f"write {tmp_path / 'written.txt'}")
    assert not (tmp_path / "written.txt").read_text()


def test_a_worker_gets_no_input_and_no_secret(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVENANT_SERVER__TOKEN", "secret")
    told = say("tell")
    assert "PROVENANT" not in told
    assert told.endswith("b''")


def test_a_worker_is_renewed_after_a_number_of_files(tmp_path: Path) -> None:
    with IsolatedParser(replace(CAPS, files=2), parser=BAD) as parser:
        workers = [parsed(parser, tmp_path, "tell").split()[0] for _ in range(5)]
    assert [workers.index(worker) for worker in workers] == [0, 0, 2, 2, 4]


def test_threads_that_share_a_parser_each_get_their_own_answers(parser: IsolatedParser, tmp_path: Path) -> None:
    wrong: list[str] = []

    def read(thread: int) -> None:
        for number in range(4):
            text = f"{thread}-{number}"
            if parsed(parser, tmp_path, text, name=f"{thread}.txt") != text:
                wrong.append(text)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert parsed(parser, tmp_path, "after both") == "after both"


def test_two_parsers_at_once_do_not_wait_for_each_other(parser: IsolatedParser, tmp_path: Path) -> None:
    found: list[str] = []
    with IsolatedParser(CAPS, parser=BAD) as other:
        slow = threading.Thread(target=lambda: found.append(parsed(other, tmp_path, "hang", name="slow.txt")))
        slow.start()
        assert parsed(parser, tmp_path, "one") == "one"
        assert slow.is_alive()
        slow.join()
    assert "slow.txt took longer" in found[0]


PARENT = f"""
import signal, sys
from pathlib import Path
from ingest.isolation import Caps, IsolatedParser
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job inherits that it is ignored
parser = IsolatedParser(Caps(megabytes=256, seconds=60), parser="{BAD}")
folder = Path(sys.argv[1])
try:
    with parser:
        parser.parse(folder / "one.txt")
        print(parser.process_id, flush=True)
        parser.parse(folder / "hang.txt")
except KeyboardInterrupt:
    print("interrupted", parser.process_id, flush=True)
"""


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process whose worker hangs, and that worker's id."""
    (tmp_path / "one.txt").write_text("one")
    (tmp_path / "hang.txt").write_text("spin")
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        time.sleep(0.3)
        yield process, worker
        process.kill()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_parent_leaves_no_worker(parent: tuple[subprocess.Popen[str], int], how: signal.Signals) -> None:
    process, worker = parent
    assert is_running(worker)
    process.send_signal(how)
    process.wait()
    assert ends(worker)


def test_ctrl_c_ends_the_worker_and_is_passed_on(parent: tuple[subprocess.Popen[str], int]) -> None:
    process, worker = parent
    os.killpg(process.pid, signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.read() == "interrupted None\n"
    assert ends(worker)


def test_a_worker_that_cannot_start_is_no_fault_of_the_file(tmp_path: Path) -> None:
    with IsolatedParser(CAPS, parser="no_such_module:parse") as parser, pytest.raises(ProvenantError) as caught:
        parser.parse(tmp_path / "file.txt")
    assert not isinstance(caught.value, BadInput)
    assert "did not start (ModuleNotFoundError: No module named 'no_such_module')" in str(caught.value)


def outcome(parse: Callable[[Path], ParsedDocument], path: Path) -> str:
    try:
        return parse(path).to_json()
    except BadInput as error:
        return f"refused: {error}"


def test_small_files_are_read_as_in_the_process(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Travel\n\nHotels cost 120 € 𝔸 a night.\n")
    (tmp_path / "b.csv").write_text("id,title,price_eur,new\n1,Cable,5,true\n2,Hub,20.5,false\n")
    (tmp_path / "c.pdf").write_bytes(b"%PDF-1.7\n1 0 obj\n<< /Type /Cat")
    (tmp_path / "d.rtf").write_text(r"{\rtf1\ansi Parking costs {\b nine} dollars.}")
    with IsolatedParser(Caps()) as parser:
        for path in sorted(tmp_path.iterdir()):
            assert outcome(parser.parse, path) == outcome(parse_file, path)


@pytest.mark.slow
def test_samples_are_read_byte_for_byte_as_in_the_process() -> None:
    paths = [path for path in sorted((SAMPLES / "corpus").rglob("*")) if path.is_file()]
    with IsolatedParser(Caps()) as parser:
        for path in paths:
            assert outcome(parser.parse, path) == outcome(parse_file, path)
    assert len(paths) > 20


def ingest(tools: IngestTools, folder: Path, parser: IsolatedParser) -> IngestReport:
    return run_ingest(IngestRequest((folder,), "c"), replace(tools, parser=parser))


def test_an_ingest_goes_on_past_files_that_kill_their_worker(
    tools: IngestTools, parser: IsolatedParser, tmp_path: Path
) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name, text in {
        "a": "hang",
        "b": "crash 11",
        "c": "eat 400",
        "d": "break",
        "e": "Rooms cost 9 dollars.",
    }.items():
        (folder / f"{name}.txt").write_text(text)
    told: list[Progress] = []
    report = ingest(replace(tools, tell=told.append), folder, parser)
    reasons = {one.document: one.reason for one in report.documents if one.status == "refused"}
    assert list(reasons) == ["a.txt", "b.txt", "c.txt", "d.txt"]
    assert "took longer than 1 s" in reasons["a.txt"]
    assert report.counts["added"] == report.points == 1
    assert list(dict.fromkeys(at.message for at in told))[:5] == [f"{name}.txt" for name in "abcde"]


def test_the_settings_decide_on_caps_and_parser(tools: IngestTools) -> None:
    caps = {"parser_megabytes": 300, "parser_seconds": 7, "ocr": "never"}
    settings = tools.settings.model_copy(update={"ingest": tools.settings.ingest.model_copy(update=caps)})
    with with_parser(replace(tools, settings=settings)) as equipped:
        assert equipped.parser is not None
        assert (equipped.parser.caps.megabytes, equipped.parser.caps.seconds) == (300, 7)
        assert equipped.parser.function == "ingest.parse:parse_file_without_ocr"
        with with_parser(equipped) as again:
            assert again.parser is equipped.parser


def test_an_unchanged_ingest_starts_no_worker_and_a_cancelled_one_leaves_none(
    tools: IngestTools, parser: IsolatedParser, tmp_path: Path
) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "a.txt").write_text("Rooms cost 9 dollars.")
    assert ingest(tools, folder, parser).counts["added"] == 1
    parser.close()
    assert ingest(tools, folder, parser).counts["unchanged"] == 1
    assert parser.process_id is None

    def cancel(at: Progress) -> None:
        if at.message == "c.txt":
            workers.extend(children())
            raise KeyboardInterrupt

    workers: list[int] = []
    (folder / "b.txt").write_text("Cars cost 9 dollars.")
    (folder / "c.txt").write_text("Bikes cost 9 dollars.")
    with pytest.raises(KeyboardInterrupt):
        run_ingest(IngestRequest((folder,), "c"), replace(tools, tell=cancel))
    assert len(workers) == 1
    assert not is_running(workers[0])


def test_whoever_waits_is_called_and_may_end_the_worker_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hang")
    workers: list[int] = []

    def beat() -> None:
        workers.extend(children())
        if len(workers) >= 2:
            raise KeyboardInterrupt

    began = time.monotonic()
    with IsolatedParser(Caps(megabytes=256, seconds=60), parser=BAD) as opened:
        with pytest.raises(KeyboardInterrupt):
            opened.parse(tmp_path / "a.txt", beat=beat)
        assert time.monotonic() - began < 10
        assert workers
        assert ends(workers[0])
        assert opened.process_id is None
        (tmp_path / "b.txt").write_text("fine")
        assert opened.parse(tmp_path / "b.txt").text == "fine"


def children() -> list[int]:
    lists = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return [int(child) for one in lists for child in one.read_text().split()]
