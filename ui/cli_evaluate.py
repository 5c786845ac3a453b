"""Commands that measure: evaluate retrieval, answers, abstention."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from governance.errors import BadInput
from ui.cli_corpus import AsJson
from ui.cli_golden import golden
from ui.terminal import print_json, print_line, progress_bar, tell

if TYPE_CHECKING:
    from assistant.evaluate_ranking import RankingTask
    from ui.installation import Installation

Data = Annotated[Path, typer.Option("--data", help="JSONL of questions with evidence.")]
DataOrFolder = Annotated[Path, typer.Option("--data", help="JSONL of questions with evidence, or a BEIR folder.")]
Collection = Annotated[str, typer.Option("--collection", "-c", help="Collection asked; the only one by default.")]
Split = Annotated[str, typer.Option("--split", help="Only questions of this split.")]
Details = Annotated[Path | None, typer.Option("--details", help="Write a JSON line for each question here.")]
Release = Annotated[str, typer.Option("--release", help="Ask this release instead of the live one.")]
FirstWindow = Annotated[
    bool, typer.Option("--first-window", help="BEIR: embed only what the model reads at once, as published figures do.")
]
Judged = Annotated[bool, typer.Option("--judge", help="Also Ragas' figures, by the judge model of the settings.")]
Value = TypeVar("Value")
evaluate = typer.Typer(help="Measure on labelled questions: retrieval, answers, abstention.", no_args_is_help=True)


class SearchedBy(StrEnum):
    """What a BEIR folder is searched by; `both` is what the product does."""

    WORDS = "words"
    EMBEDDING = "embedding"
    BOTH = "both"


def register(app: typer.Typer) -> None:
    """Add these commands."""
    evaluate.add_typer(golden, name="golden")
    app.add_typer(evaluate, name="evaluate")


@evaluate.command("retrieval")
def evaluate_retrieval(
    data: DataOrFolder,
    collection: Collection = "",
    split: Split = "",
    using: Annotated[SearchedBy, typer.Option(help="How a BEIR folder is searched.")] = SearchedBy.BOTH,
    first_window: FirstWindow = False,
    details: Details = None,
    as_json: AsJson = False,
) -> None:
    """Measure retrieval: right document, recall@k, ndcg@10, MRR, characters; a BEIR folder is indexed by itself."""
    _check_place(details)
    if data.is_dir():
        from assistant.evaluate_ranking import read_task

        figures = _rank_folder(read_task(data, split=split), using, first_window=first_window)
    else:
        figures = _retrieve_evidence(data, split, collection, using)
    _give_out(figures, details, as_json)


@evaluate.command("answers")
def evaluate_answers(
    data: Data,
    collection: Collection = "",
    split: Split = "",
    release: Release = "",
    judge: Judged = False,
    details: Details = None,
    as_json: AsJson = False,
) -> None:
    """Measure answers: exact match, F1, right document and page, citations, quotes at their place, refusals."""
    from assistant.evaluate import measure_answers, read_questions
    from assistant.ragas_judge import judge_answers, open_judge
    from ui.installation import Installation

    _check_place(details)
    questions = read_questions(data, split=split)
    installation = Installation()
    judged_by = open_judge(installation.settings.judge) if judge else None
    with _counted("answers", len(questions), _answerer(installation, collection, release)) as ask:
        figures = measure_answers(questions, ask, installation.service.texts.span)
    if judged_by:
        judged = judge_answers(questions, figures["details"], judged_by)
        figures |= judged | {name: figures[name] | judged[name] for name in ("counts", "intervals")}
    _give_out(figures, details, as_json)


@evaluate.command("abstention")
def evaluate_abstention(
    data: Data,
    collection: Collection = "",
    split: Split = "",
    release: Release = "",
    details: Details = None,
    picture: Annotated[Path | None, typer.Option("--picture", help="Draw risk and coverage here, as SVG.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure refusals: shares on both kinds of question, risk and coverage, how well the probability tells them."""
    from assistant.evaluate import measure_abstention, read_questions
    from ui.installation import Installation

    _check_place(details)
    _check_place(picture)
    questions = read_questions(data, split=split)
    with _counted("abstention", len(questions), _judge(Installation(), collection, release)) as ask:
        figures = measure_abstention(questions, ask)
    _give_out(figures, details, as_json)
    if picture is not None:
        _draw(figures, picture)


def _rank_folder(task: RankingTask, using: SearchedBy, *, first_window: bool) -> dict[str, Any]:
    from assistant.evaluate_ranking import Searcher, measure_ranking, temporary_index
    from assistant.local_models import LocalModels
    from governance.settings import load_settings

    settings = load_settings()
    models = LocalModels(settings)
    embedder = models.embedder if using is not SearchedBy.WORDS else None
    reader = models.reader if using is SearchedBy.BOTH else None
    started = time.monotonic()
    with ExitStack() as opened:
        with progress_bar("index") as show:
            temporary = temporary_index(task, embedder=embedder, tell=show, first_window=first_window)
            index = opened.enter_context(temporary)
        seconds_index = time.monotonic() - started
        searcher = Searcher(index, embedder, settings.retrieval, using=using.value, reader=reader)
        with _counted("retrieval", len(task.relevant), searcher.rank) as rank:
            figures = measure_ranking(task, rank, clock=time.monotonic)
    return {"using": using.value, **figures, "seconds_index": seconds_index}


def _retrieve_evidence(data: Path, split: str, collection: str, using: SearchedBy) -> dict[str, Any]:
    from assistant.evaluate import CHARACTER_DEPTHS, measure_retrieval, read_questions
    from ui.answering import search_anywhere
    from ui.installation import Installation

    if using is not SearchedBy.BOTH:
        raise BadInput(
            f"--using {using.value} is for a BEIR folder; a collection is searched by both, as it is served."
        )
    questions = read_questions(data, split=split)
    answerable = sum(question.answerable for question in questions)
    if not answerable:
        raise BadInput(f"{data.name} holds no answerable question, so there is no evidence to find.")
    installation = Installation()
    body = {"collection": _collection(installation, collection), "top_k": max(CHARACTER_DEPTHS)}

    def search(query: str) -> list[dict[str, Any]]:
        return search_anywhere(installation, {"query": query, **body})

    with _counted("retrieval", answerable, search) as counted:
        return measure_retrieval(questions, counted)


def _answerer(installation: Installation, collection: str, release: str) -> Callable[[str], dict[str, Any]]:
    from ui.answering import ask_anywhere

    body = {"collection": _collection(installation, collection), "release_id": release}

    def answer(question: str) -> dict[str, Any]:
        *_, last = ask_anywhere(installation, {"question": question, **body})
        return {name: value for name, value in last.items() if name != "type"}

    return answer


def _judge(installation: Installation, collection: str, release: str) -> Callable[[str], dict[str, Any]]:
    """Return what judges a question and writes nothing: refusals are decided before anything is written."""
    from assistant.turn import AskRequest
    from ui.answering import service_of_this_process

    service, principal = service_of_this_process(installation), installation.principal()
    name = _collection(installation, collection)

    def judge(question: str) -> dict[str, Any]:
        return service.judge(AskRequest(question, name, principal, release_id=release)).to_value()

    return judge


def _collection(installation: Installation, named: str) -> str:
    """Return the collection named, or the only one there is. Raises BadInput where there are several or none."""
    if named:
        return named
    names = installation.service.collections()
    if len(names) == 1:
        return names[0]
    there = f"There are the collections {', '.join(names)}" if names else "There is no collection"
    raise BadInput(f"{there}; say with --collection which one to measure.")


@contextmanager
def _counted(label: str, total: int, ask: Callable[[str], Value]) -> Iterator[Callable[[str], Value]]:
    """Yield what asks, with a bar on stderr that counts the questions."""
    done = 0
    with progress_bar(label) as show:

        def counted(question: str) -> Value:
            nonlocal done
            given = ask(question)
            done += 1
            show(done / total, f"{done} of {total} questions")
            return given

        yield counted


def _check_place(path: Path | None) -> None:
    """Refuse a file that cannot be written before anything is measured, not after. Raises BadInput."""
    if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
        raise BadInput(f"{path} cannot be written: name a file in a folder that is there.")


def _give_out(figures: dict[str, Any], details: Path | None, as_json: bool) -> None:
    """Print the figures, and write what was found for each question where that was asked for."""
    lines: Sequence[Mapping[str, Any]] = figures.pop("details")
    if details is not None:
        text = "".join(json.dumps(line, ensure_ascii=False, default=str) + "\n" for line in lines)
        details.write_text(text, encoding="utf-8")
    if as_json:
        print_json(figures)
        return
    intervals = figures["intervals"]
    for name, value in figures.items():
        if isinstance(value, float):
            between = intervals.get(name)
            beside = f"  [{between['low']:.4f}, {between['high']:.4f}]" if between else ""
            print_line(f"{name:<40} {value:.4f}{beside}")
        elif not isinstance(value, dict | list):
            print_line(f"{name:<40} {value}")
    if intervals:
        print_line("in brackets: 95 % intervals, documents drawn anew 1,000 times")


def _draw(figures: Mapping[str, Any], picture: Path) -> None:
    from assistant.risk_picture import draw_risk_coverage

    if "curve" not in figures:
        raise BadInput("The answers carry no sufficiency, so there is no curve to draw; ask a release that judges it.")
    picture.write_text(draw_risk_coverage(figures), encoding="utf-8")
    tell(f"drawn in {picture}")
