"""Threads that ask one decoder: each gets its own tokens, and nobody hangs, whoever stops, leaves or fails."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from assistant import cpu_decoder
from assistant.cpu_decoder import CpuDecoder, load_cpu_decoder
from assistant.model import Decoding, LocalEngine, load_engine
from governance.errors import ProvenantError
from tests.assistant.cpu_fakes import FakeModel, alone, circling, limits


@pytest.fixture
def model() -> FakeModel:
    return FakeModel(circling)


@pytest.fixture
def decoder(model: FakeModel) -> Iterator[CpuDecoder]:
    made = CpuDecoder(model)
    yield made
    model.gate.set()
    made.close()


def ask(decoder: CpuDecoder, prompt: list[int], new_tokens: int = 20) -> list[int]:
    with decoder.generation(prompt, limits(new_tokens, 3), threading.Event()) as tokens:
        return list(tokens or ())


def test_every_thread_gets_its_own_tokens(decoder: CpuDecoder) -> None:
    prompts = [[1 + number % 5] * (1 + number * 7) for number in range(40)]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda prompt: ask(decoder, prompt), prompts))
    assert answers == [alone(prompt, 20, circling) for prompt in prompts]


def test_stop_ends_the_waiting_and_the_answering(decoder: CpuDecoder, model: FakeModel) -> None:
    stop = threading.Event()
    with decoder.generation([1], limits(8000), stop) as tokens:
        assert tokens is not None
        assert next(tokens) == 2
        stop.set()
        assert len(list(tokens)) < 8000
    with decoder.generation([1], limits(3), stop) as tokens:
        assert list(tokens or ()) == []


def test_reader_that_leaves_makes_room(decoder: CpuDecoder) -> None:
    for _ in range(40):
        with decoder.generation([1] * 4000, limits(4000), threading.Event()) as tokens:
            assert next(tokens or iter([0])) == 2
    assert len(ask(decoder, [1])) == 20


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_failure_is_told_to_every_reader_and_to_those_who_come_later(model: FakeModel) -> None:
    decoder = CpuDecoder(model)
    model.gate.clear()
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(ask, decoder, [1 + number]) for number in range(3)]
        model.fails = True
        model.gate.set()
        errors = [one.exception(5) for one in asked]
    assert all(isinstance(error, ProvenantError) and "restart it" in str(error) for error in errors)
    with pytest.raises(ProvenantError, match="answers no more"):
        ask(decoder, [1])
    decoder.close()


def test_close_ends_what_is_under_way_and_refuses_what_comes(model: FakeModel) -> None:
    decoder = CpuDecoder(model)
    with decoder.generation([1], limits(8000), threading.Event()) as tokens:
        next(tokens or iter([0]))
        decoder.close()
        assert len(list(tokens or ())) < 8000
    assert model.is_closed
    with pytest.raises(ProvenantError, match="has been closed"):
        ask(decoder, [1])


def test_what_the_machine_lacks_is_one_line_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setattr(cpu_decoder, "_what_is_missing", lambda: "the CPU has no AVX-512")
    with caplog.at_level("INFO"):
        assert load_cpu_decoder(tmp_path) is None
    assert caplog.messages == ["The language model is served by the general path: the CPU has no AVX-512."]


@pytest.fixture(scope="module")
def engine(models_root: Path) -> Iterator[LocalEngine]:
    loaded = load_engine(models_root, "smollm2-135m-instruct", device="cpu")
    if not isinstance(loaded._decoder, CpuDecoder):
        pytest.skip("needs AVX-512")
    yield loaded
    loaded.close()


@pytest.mark.models
@pytest.mark.slow
def test_real_users_who_join_leave_and_cancel_do_not_change_what_others_read(engine: LocalEngine) -> None:
    words = "Notice is given by registered letter within ninety days of the end of the agreement. ".split()
    prompts = [" ".join((words * 12)[number : number * 9 + 5]) for number in range(12)]
    expected = [engine.stream(prompt, decoding=Decoding(24, 0)).finish().text for prompt in prompts]

    def read(number: int) -> str:
        stop = threading.Event()
        with engine.stream(prompts[number], decoding=Decoding(24, number % 4), stop=stop) as stream:
            pieces = []
            for piece in stream:
                pieces.append(piece)
                if number % 3 == 0 and len(pieces) == 4:
                    break
                if number % 3 == 1 and len(pieces) == 6:
                    stop.set()
        assert stream.result is not None
        assert stream.result.text.startswith("".join(pieces))
        return "".join(pieces)

    with ThreadPoolExecutor(12) as pool:
        said = list(pool.map(read, [*range(12), *range(11, -1, -1)]))
    for number, text in zip([*range(12), *range(11, -1, -1)], said, strict=True):
        assert text == expected[number] if number % 3 == 2 else expected[number].startswith(text)


LEAVING = """
import sys, threading
from pathlib import Path
from assistant.model import Decoding, load_engine

engine = load_engine(Path(sys.argv[1]), "smollm2-135m-instruct", device="cpu")
streams = [engine.stream("Notice is given. " * number, decoding=Decoding(4000)) for number in (1, 300)]
for stream in streams:
    threading.Thread(target=stream.finish, daemon=True).start()
print(next(iter(engine.stream("Either party", decoding=Decoding(4000)))))
"""


@pytest.mark.models
@pytest.mark.slow
def test_process_that_ends_while_it_generates_ends_cleanly(models_root: Path) -> None:
    command = [sys.executable, "-c", LEAVING, str(models_root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stderr) == (0, "")
