"""What becomes of what the daemon says, and whether calls may pass meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from litellm.proxy.policy_engine.attachment_registry import get_attachment_registry
from litellm.proxy.policy_engine.policy_registry import get_policy_registry
from litellm.types.proxy.policy_engine import PolicyMatchContext

from refguard_litellm import follower as module
from refguard_litellm.client import Bundle, DaemonAway
from refguard_litellm.follower import Follower, Refusal
from refguard_litellm.registries import Registries
from refguard_litellm.settings import Settings
from sets import bundle

PATIENCE = 30.0
MODES = frozenset({"pre_call", "post_call"})


class Script:
    """A daemon whose answers are given by the test, one at a time."""

    def __init__(self) -> None:
        self.asked: list[tuple[str | None, int]] = []
        self.answers: asyncio.Queue[Bundle | Exception | None] = asyncio.Queue()

    async def poll(self, etag: str | None, wait: int) -> Bundle | None:
        self.asked.append((etag, wait))
        answer = await self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def say(self, answer: Bundle | Exception | None) -> None:
        """Answers, and waits until the follower has acted on it and asks again."""
        count = len(self.asked)
        self.answers.put_nowait(answer)
        while len(self.asked) <= max(count, 1):
            await asyncio.sleep(0)


class World:
    """A follower and what is around it."""

    def __init__(self, settings: Settings, *, beside: Callable[[], str | None] = lambda: None) -> None:
        self.now = 0.0
        self.guardrails = {"a", "b"}
        self.modes: dict[str, frozenset[str]] = {}
        self.script = Script()
        self.follower = Follower(
            settings,
            Registries(settings.allow_database),
            lambda: {name: self.modes.get(name, MODES) for name in self.guardrails},
            beside,
            clock=lambda: self.now,
        )
        # The following is started by the test, of its script.
        self.follower.start = lambda: None  # type: ignore[method-assign]

    def matched(self) -> list[str]:
        """What a call gets, as LiteLLM asks for it."""
        get_policy_registry().is_initialized()
        return get_attachment_registry().get_attached_policies(PolicyMatchContext(model="m"))

    def run(self, story: Callable[[World], Awaitable[None]]) -> None:
        async def whole() -> None:
            following = asyncio.create_task(self.follower.follow(self.script))
            try:
                await asyncio.wait_for(story(self), PATIENCE)
            finally:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)

        asyncio.run(whole())


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("_PAUSE_AFTER_SET", "_PAUSE_AFTER_NOTHING", "_RETRY_FIRST"):
        monkeypatch.setattr(module, name, 0.0)
    yield


def test_calls_are_refused_until_there_is_a_set_and_then_follow_it() -> None:
    async def story(world: World) -> None:
        with pytest.raises(Refusal, match="no policy set"):
            world.matched()
        assert world.follower.state == "starting"
        await world.script.say(DaemonAway("connection refused"))
        with pytest.raises(Refusal, match="no policy set"):
            world.matched()
        assert (world.follower.state, world.follower.status()["serving"]) == ("away", False)
        await world.script.say(bundle("c1", "a"))
        assert world.matched() == ["a-policy"]
        assert world.follower.resolved_commit() == "c1"
        await world.script.say(None)
        await world.script.say(bundle("c2", "a", "b"))
        assert world.matched() == ["a-policy", "b-policy"]
        assert world.follower.resolved_commit() == "c2"
        assert world.follower.status()["guardrails"] == ["a", "b"]
        tags = [etag for etag, _ in world.script.asked]
        assert tags == [None, None, '"c1-litellm"', '"c1-litellm"', '"c2-litellm"']

    World(Settings()).run(story)


def test_a_call_before_the_first_set_passes_only_if_told() -> None:
    async def story(world: World) -> None:
        assert world.matched() == []
        assert world.follower.resolved_commit() is None
        await world.script.say(bundle("c1", "a"))
        assert world.matched() == ["a-policy"]

    World(Settings(allow_before_first_set=True)).run(story)


def test_the_last_good_set_stays_while_the_daemon_is_away_or_wrong() -> None:
    async def story(world: World) -> None:
        await world.script.say(bundle("c1", "a"))
        await world.script.say(DaemonAway("connection refused"))
        assert (world.matched(), world.follower.state) == (["a-policy"], "away")
        status = world.follower.status()
        assert (status["commit"], status["serving"], status["daemon"]["failures"]) == ("c1", True, 1)
        await world.script.say(bundle("c2", body="policies: {"))
        assert (world.matched(), world.follower.state) == (["a-policy"], "rejected")
        rejected = world.follower.status()["rejected"]
        assert (rejected["commit"], "parsed" in rejected["reason"]) == ("c2", True)
        # It is not fetched again and again.
        assert world.script.asked[-1][0] == '"c2-litellm"'
        await world.script.say(None)
        assert world.follower.state == "rejected"
        # A rollback to what runs.
        await world.script.say(bundle("c1", "a"))
        assert (world.matched(), world.follower.state) == (["a-policy"], "current")

    World(Settings()).run(story)


def test_after_a_failure_an_answer_is_wanted_at_once() -> None:
    async def story(world: World) -> None:
        await world.script.say(bundle("c1", "a"))
        await world.script.say(DaemonAway("connection refused"))
        assert world.script.asked[-1] == ('"c1-litellm"', 0)
        # The daemon was restarted, and has nothing new.
        await world.script.say(None)
        assert world.follower.state == "current"
        assert world.script.asked[-1] == ('"c1-litellm"', 30)

    World(Settings()).run(story)


def test_a_set_with_a_guardrail_that_the_proxy_lacks_waits_for_it() -> None:
    async def story(world: World) -> None:
        await world.script.say(bundle("c1", "a"))
        await world.script.say(bundle("c2", "a", "new"))
        assert (world.matched(), world.follower.state) == (["a-policy"], "rejected")
        assert "`new`" in world.follower.status()["rejected"]["reason"]
        # It looks again soon, and does not fetch the set again.
        assert world.script.asked[-1] == ('"c2-litellm"', 1)
        world.guardrails.add("new")
        await world.script.say(None)
        assert (world.matched(), world.follower.state) == (["a-policy", "new-policy"], "current")
        assert world.script.asked[-1] == ('"c2-litellm"', 30)

    World(Settings()).run(story)


def test_a_waiting_set_is_forgotten_when_another_comes() -> None:
    async def story(world: World) -> None:
        await world.script.say(bundle("c1", "a"))
        await world.script.say(bundle("c2", "new"))
        await world.script.say(bundle("c3", body="nonsense"))
        world.guardrails.add("new")
        await world.script.say(None)
        assert (world.matched(), world.follower.status()["rejected"]["commit"]) == (["a-policy"], "c3")
        await world.script.say(bundle("c4", "b"))
        assert (world.matched(), world.follower.state) == (["b-policy"], "current")

    World(Settings()).run(story)


def test_a_guardrail_that_is_lost_later_is_told() -> None:
    async def story(world: World) -> None:
        await world.script.say(bundle("c1", "a", "b"))
        assert world.follower.missing(frozenset({"a", "b", "of the caller"})) == frozenset()
        world.guardrails.remove("b")
        assert world.follower.missing(frozenset({"a", "b", "of the caller"})) == {"b"}
        assert world.follower.missing(frozenset({"a", "of the caller"})) == frozenset()
        await world.script.say(None)
        assert world.follower.status()["lost_guardrails"] == ["b"]

    World(Settings()).run(story)


def test_a_set_that_is_too_old_to_trust_is_refused_only_if_told() -> None:
    async def story(world: World) -> None:
        await world.script.say(bundle("c1", "a"))
        world.now += 600
        assert world.matched() == ["a-policy"]
        world.now += 1
        with pytest.raises(Refusal, match="601 s"):
            world.matched()
        await world.script.say(None)
        assert world.matched() == ["a-policy"]

    World(Settings(max_staleness=600)).run(story)


def test_policies_of_the_config_are_not_replaced_in_silence() -> None:
    async def story(world: World) -> None:
        # LiteLLM reads its config's policies after it has loaded the callbacks.
        get_policy_registry().load_policies({"own": {"guardrails": {"add": ["a"]}}})
        get_attachment_registry().load_attachments([{"policy": "own", "scope": "*"}])
        await world.script.say(bundle("c1", "a"))
        with pytest.raises(Refusal, match="remove `policies`"):
            world.matched()
        assert world.follower.state == "refusing"
        assert get_policy_registry().get_policy_names() == ["own"]

    World(Settings()).run(story)


def test_policies_that_were_there_before_are_not_replaced_either() -> None:
    async def story(world: World) -> None:
        await world.script.say(bundle("c1", "a"))
        with pytest.raises(Refusal, match="remove `policies`"):
            world.matched()

    get_policy_registry().load_policies({"own": {"guardrails": {"add": ["a"]}}})
    World(Settings()).run(story)


def test_a_change_from_elsewhere_is_put_back() -> None:
    async def story(world: World) -> None:
        await world.script.say(bundle("c1", "a"))
        get_attachment_registry().clear()
        assert world.matched() == ["a-policy"]

    World(Settings()).run(story)


def test_a_database_is_refused_and_its_policies_left_alone() -> None:
    conflict: list[str] = ["there is a database"]

    async def story(world: World) -> None:
        await world.script.say(bundle("c1", "a"))
        with pytest.raises(Refusal, match="there is a database"):
            world.matched()
        assert (world.follower.state, get_policy_registry().get_policy_names()) == ("refusing", [])
        conflict.clear()
        await world.script.say(None)
        assert (world.matched(), world.follower.state) == (["a-policy"], "current")

    World(Settings(), beside=lambda: conflict[0] if conflict else None).run(story)


def test_a_bug_does_not_end_the_following() -> None:
    async def story(world: World) -> None:
        await world.script.say(bundle("c1", "a"))
        await world.script.say(RuntimeError("a bug"))
        assert (world.matched(), world.follower.state) == (["a-policy"], "away")
        assert world.follower.status()["daemon"]["error"] == "RuntimeError: a bug"
        await world.script.say(bundle("c2", "b"))
        assert (world.matched(), world.follower.state) == (["b-policy"], "current")

    World(Settings()).run(story)


def test_no_call_sees_half_a_set() -> None:
    """Calls are matched while sets come and go: each sees policies and attachments of one set, and its name."""
    seen: set[str | None] = set()

    async def call(world: World) -> None:
        names = world.matched()
        commit = world.follower.resolved_commit()
        seen.add(commit)
        assert get_policy_registry().get_policy_names() == names == [f"{commit}-policy"]
        # Other calls, and swaps, come in between; what was noted for this call stays.
        await asyncio.sleep(0)
        assert world.follower.resolved_commit() == commit

    async def story(world: World) -> None:
        await world.script.say(bundle("a", "a"))
        for turn in range(40):
            name = "ab"[turn % 2]
            calls = [asyncio.create_task(call(world)) for _ in range(20)]
            await asyncio.gather(world.script.say(bundle(name, name)), *calls)

    World(Settings()).run(story)
    assert seen == {"a", "b"}


def test_pauses_grow_are_bounded_and_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RETRY_FIRST", 0.5)
    world = World(Settings(retry_max=15))
    pauses = [world.follower._failed("away", 0.0) for _ in range(30)]
    assert all(0.25 * 2**n <= pause <= 0.5 * 2**n for n, pause in enumerate(pauses[:5]))
    assert all(7.5 <= pause <= 15 for pause in pauses[5:])
    assert len(set(pauses)) > 25
    assert world.follower._failed("away", 60.0) == 60


def test_following_ends_when_it_is_told_and_begins_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []

    class Parked(Script):
        def __init__(self, settings: Settings, form: str) -> None:
            super().__init__()
            assert form == "litellm"

        async def __aenter__(self) -> Parked:
            return self

        async def __aexit__(self, *_: Any) -> None:
            ended.append("closed")

    monkeypatch.setattr(module, "Client", Parked)
    follower = Follower(Settings(), Registries(False), dict)
    follower.start()

    async def story() -> None:
        follower.start()
        follower.start()
        await asyncio.sleep(0)
        assert [task.get_name() for task in asyncio.all_tasks()].count("refguard") == 1
        await follower.stop()
        assert ended == ["closed"]
        # A call starts it again, if it ever died.
        with pytest.raises(Refusal):
            follower.admit()
        assert [task.get_name() for task in asyncio.all_tasks()].count("refguard") == 1

    asyncio.run(story())
    # The end of the event loop has ended the second.
    assert ended in (["closed"], ["closed", "closed"])


PIPELINE = """
policies:
  p:
    guardrails: {add: [a]}
    pipeline: {mode: %s, steps: [{guardrail: a, on_fail: block, on_pass: allow}]}
policy_attachments: [{policy: p, scope: "*"}]
"""


def test_a_step_whose_guardrail_does_not_run_at_that_mode_is_refused_and_waits() -> None:
    async def story(world: World) -> None:
        await world.script.say(bundle("c1", "a"))
        world.modes["a"] = frozenset({"post_call"})
        await world.script.say(bundle("c2", body=PIPELINE % "pre_call"))
        assert (world.follower.state, world.follower.status()["commit"]) == ("rejected", "c1")
        reason = world.follower.status()["rejected"]["reason"]
        assert "`a` is a step of a `pre_call` pipeline, and here it runs at `post_call`" in reason
        # The proxy's config is mended while it runs.
        world.modes["a"] = MODES
        await world.script.say(None)
        assert (world.follower.state, world.follower.status()["commit"]) == ("current", "c2")
        assert world.follower.missing(frozenset({"a"})) == frozenset()
        # And spoilt again: only the calls that need it are refused.
        world.modes["a"] = frozenset({"post_call"})
        assert world.follower.missing(frozenset({"a"})) == {"a"}
        assert world.follower.missing(frozenset({"b"})) == frozenset()

    World(Settings()).run(story)


def test_what_the_daemon_holds_back_is_a_state_and_what_is_reported_says_why() -> None:
    rejected = {"commit": "c2", "message": "it has 1 error"}

    async def story(world: World) -> None:
        follower = world.follower
        assert follower.report()["state"] == "away"
        await world.script.say(bundle("c1", "a"))
        assert follower.report() == {
            "set": None,
            "commit": "c1",
            "instant": None,
            "state": "current",
            "reason": None,
            "guardrails": [{"name": name, "modes": ["post_call", "pre_call"]} for name in ("a", "b")],
        }
        follower._heard({"version": 1, "set": {"behind": True, "rejected": rejected}})
        assert (world.matched(), follower.state) == (["a-policy"], "behind")
        assert follower.report()["reason"] == "the daemon holds back commit c2: it has 1 error"
        # Behind for a moment, while a commit is read, is nothing to tell of.
        follower._heard({"version": 1, "set": {"behind": True, "rejected": None}})
        assert follower.state == "current"
        for answer in (None, {}, {"set": 1}, {"set": {"behind": True}}):
            follower._heard(answer)
            assert follower.state == "current"
        await world.script.say(bundle("c3", "c"))
        assert (follower.report()["state"], follower.report()["commit"]) == ("rejected", "c1")
        assert follower.report()["reason"] == "this proxy has no guardrail `c`"
        await world.script.say(DaemonAway("connection refused"))
        assert (follower.report()["state"], follower.report()["reason"]) == ("away", "connection refused")

    World(Settings()).run(story)
