"""Generations that share steps: each has the tokens it has alone, and none waits for a whole prompt of another."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from assistant.cpu_batch import MOST_TOGETHER, Batch, Request
from assistant.cpu_model import LAST_AT_MOST, STEP_COLUMNS
from tests.assistant.cpu_fakes import FakeModel, alone, circling, limits


@dataclass
class User:
    """Somebody who asks, and what was said."""

    prompt: list[int]
    new_tokens: int = 12
    draft_tokens: int = 0
    joins_at: int = 0
    leaves_after: int = 1000
    told: list[int] = field(default_factory=list)
    is_left: bool = False
    events: list[str] = field(default_factory=list)

    def request(self) -> Request:
        return Request(self.prompt, limits(self.new_tokens, self.draft_tokens), self.tell, lambda: self.is_left)

    def tell(self, tokens: list[int] | None) -> None:
        self.events.append("end" if tokens is None else "tokens" if tokens else "begin")
        self.told += tokens or []
        self.is_left = self.is_left or len(self.told) >= self.leaves_after


def run(batch: Batch, users: list[User]) -> None:
    number = 0
    waiting = sorted(users, key=lambda user: user.joins_at)
    while waiting or batch.is_busy:
        while waiting and waiting[0].joins_at <= number:
            batch.join(waiting.pop(0).request())
        batch.step()
        number += 1


PEOPLE = st.lists(
    st.builds(
        User,
        prompt=st.lists(st.integers(1, 6), min_size=1, max_size=150),
        new_tokens=st.integers(1, 30),
        draft_tokens=st.integers(0, 3),
        joins_at=st.integers(0, 20),
        leaves_after=st.sampled_from([1, 3, 1000]),
    ),
    min_size=1,
    max_size=MOST_TOGETHER,
)


@given(users=PEOPLE)
def test_tokens_are_those_of_each_alone_whoever_joins_and_leaves(users: list[User]) -> None:
    model = FakeModel()
    run(Batch(model), users)
    for user in users:
        expected = alone(user.prompt, user.new_tokens)
        assert user.told == expected or (
            len(user.told) >= user.leaves_after and user.told == expected[: len(user.told)]
        )
        assert (user.events[0], user.events[-1], user.events.count("end")) == ("begin", "end", 1)
    assert all(sum(len(piece.tokens) for piece in step) <= STEP_COLUMNS for step in model.steps)
    assert all(sum(piece.last for piece in step) <= LAST_AT_MOST for step in model.steps)


def test_answers_go_on_while_a_long_prompt_is_read() -> None:
    model = FakeModel(circling)
    answering, reading = User([1], new_tokens=40), User([2] * 500, joins_at=3)
    run(Batch(model), [answering, reading])
    reads = [step for step in model.steps if any(len(piece.tokens) > 1 for piece in step)]
    assert len(reads) > 5
    assert all(len(step) == 2 for step in reads)
    assert len(answering.told) == 40


def test_start_that_prompts_share_is_read_once() -> None:
    model = FakeModel(circling)
    shared = [1, 2, 3, 4] * 20
    run(Batch(model), [User([*shared, 5, number], new_tokens=2, joins_at=number) for number in (1, 2, 3)])
    read = sum(len(piece.tokens) for step in model.steps for piece in step)
    assert read == len([*shared, 5]) + 3 * 1 + 3 * 1  # their own last token, and the first of two answered


def test_sixteen_have_room_and_one_more_waits() -> None:
    batch = Batch(FakeModel(circling))
    for number in range(MOST_TOGETHER):
        request = User([1 + number % 5]).request()
        assert batch.has_room(request)
        batch.join(request)
    assert not batch.has_room(User([1]).request())


def test_long_ones_wait_for_memory_and_alone_the_longest_may() -> None:
    batch = Batch(FakeModel(circling))
    assert batch.has_room(User([1] * 30_000).request())
    batch.join(User([1] * 20_000).request())
    assert not batch.has_room(User([1] * 8_000).request())


def test_drafts_are_tried_where_they_cost_nothing() -> None:
    def steps_of(users: int) -> int:
        model = FakeModel(circling)
        run(Batch(model), [User([1, 2, 3, 4, 5, 1 + number], new_tokens=60, draft_tokens=3) for number in range(users)])
        return len(model.steps)

    alone, two, many = steps_of(1), steps_of(2), steps_of(3)
    assert alone < 20 < two < 35
    assert many == 60
