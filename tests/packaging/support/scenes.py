"""What is there before the first command of a page: a folder, a repository, daemons, variables.

Every page with examples has its scene in `SCENES`. A scene makes what the page's text supposes, never what its commands
are to show.
"""

from __future__ import annotations

import gzip
import json
import socket
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from support import litellm
from support.daemon import serve, until_ready
from support.repository import Repository, environment

LOOPBACK = "127.0.0.1:8731"


@dataclass
class Stage:
    """Where a page's commands run."""

    folder: Path
    program: Path
    root: Path
    closing: ExitStack
    variables: dict[str, str] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    """What a page calls an address, and what it is here."""
    prelude: str = ""
    """What the shell is told before."""
    litellm_python: Path | None = None
    """A Python that has a LiteLLM proxy with the package."""

    @classmethod
    def build(cls, folder: Path, program: Path, root: Path, closing: ExitStack) -> Stage:
        """An empty folder."""
        own = environment(HOME=str(folder))
        own["PATH"] = f"{program.parent}:{own['PATH']}"
        return cls(folder, program, root, closing, own)

    def write(self, files: dict[str, str]) -> None:
        """Writes files of the folder."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def make_repository(self, files: dict[str, str]) -> Repository:
        """The folder itself as a policy repository with these files, promoted."""
        repository = Repository(self.folder, self.program)
        self.write(files)
        # What is not the repository's: the folder is the home of whoever types, too.
        self.write({".git-ignored": "/.git-ignored\n/serve.log\n/.cache\n"})
        repository.git("init", "--quiet", "--initial-branch", "main")
        repository.git("config", "core.excludesFile", str(self.folder / ".git-ignored"))
        repository.git("add", "--all")
        repository.git("commit", "--quiet", "--message", "first")
        repository.refguard("promote", "--reason", "first")
        return repository

    def make_example(self) -> Repository:
        """The folder itself as the repository that `init` makes."""
        return Repository.make(self.folder, self.program)

    def serve_at_a_free_port(self, address: str = LOOPBACK) -> None:
        """Where the page's own `refguard serve` listens."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.addresses[address] = self.variables["LISTEN"] = f"127.0.0.1:{free.getsockname()[1]}"

    def start_daemon(self, repository: Path, address: str) -> None:
        """A daemon over a repository, for the page at `address`."""
        state = self.folder.with_name(f"{self.folder.name}-state-{len(self.addresses)}")
        url = self.closing.enter_context(serve(self.program, repository, state))
        until_ready(self.program, url)
        self.addresses[address] = url.removeprefix("http://")

    def start_proxy(self, guardrails: list[str], settings: dict[str, str] | None = None, config: str = "") -> str:
        """A LiteLLM proxy that follows the daemon, for the page at port 4000; its address."""
        assert self.litellm_python
        folder = self.folder.with_name(f"{self.folder.name}-proxy")
        daemon = self.addresses[LOOPBACK]
        proxy = litellm.run_proxy(
            self.litellm_python, folder, daemon, guardrails, settings=settings or {}, config=config
        )
        self.addresses["127.0.0.1:4000"] = address = self.closing.enter_context(proxy)
        self.variables |= {"LITELLM_MASTER_KEY": litellm.KEY, "KEY": litellm.KEY}
        self.variables["PATH"] = f"{self.variables['PATH']}:{self.litellm_python.parent}"
        return address


def start_with_nothing(stage: Stage) -> None:
    """The page makes what it needs."""


def start_where_a_daemon_can_listen(stage: Stage) -> None:
    """The page makes what it needs, a daemon too."""
    stage.serve_at_a_free_port()


def start_in_a_clone_with_rust(stage: Stage) -> None:
    """With a cargo that runs the program under test. It tests nothing: that is the step `tests` of .ci/run."""
    stage.serve_at_a_free_port()
    stage.prelude = 'cargo() { [[ $1 == test ]] || refguard "${@:4}"; }\n'


def start_with_the_example(stage: Stage) -> None:
    """In the repository that `init` makes."""
    stage.make_example()


def ask_about_a_guardrail(stage: Stage) -> None:
    """Two policies with one guardrail, which was gone for a while."""
    strict = "apiVersion: refguard/v1\nkind: Policy\nname: strict\nguardrails:\n  add: [pii_blocker]\n"
    attachment = "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: strict\nteams: [eu]\n"
    repository = stage.make_repository(
        {
            "refguard.yaml": "apiVersion: refguard/v1\nkind: Repository\n"
            "environments:\n  - name: production\n    gates: {weaken: refuse}\n",
            "catalog.yaml": "apiVersion: refguard/v1\nkind: Catalog\nguardrails: [pii_blocker]\n"
            "teams: [eu, us, lab]\nmodels: [gpt-4, o1]\n",
            "policies/strict.yaml": strict,
            "policies/lab.yaml": "apiVersion: refguard/v1\nkind: Policy\nname: lab\n"
            "guardrails:\n  add: [pii_blocker]\ncondition:\n  model: o1\n",
            "attachments/eu.yaml": attachment,
            "attachments/lab.yaml": attachment.replace("strict", "lab").replace("eu", "lab"),
        }
    )
    repository.commit("policies/strict.yaml", strict.replace("[pii_blocker]", "[]"))
    repository.refguard("promote", "--reason", "less is more", "--allow-weaken", "agreed in review")
    repository.commit("policies/strict.yaml", strict)
    repository.refguard("promote", "--reason", "needed after all")


def replay_a_log_and_ask_a_fleet(stage: Stage) -> None:
    """A change that is not promoted, a log of requests, two daemons with a client each."""
    repository = stage.make_example()
    before = repository.git("rev-parse", "production")
    healthcare = (stage.folder / "policies/healthcare.yaml").read_text()
    repository.commit("policies/healthcare.yaml", healthcare.replace("hipaa_audit, phi_redactor", "hipaa_audit"))
    rows = [
        ("health-eu", "app-1", ["phi"]),
        ("health-eu", "app-1", ["phi"]),
        ("health-us", "app-2", []),
        ("finance-eu", "app-3", []),
        ("support", "app-4", []),
        ("support", None, []),
    ]
    log = "".join(json.dumps(decide(before, *row)) + "\n" for row in rows)
    (stage.folder / "decisions.jsonl.gz").write_bytes(gzip.compress((log + json.dumps({"team": "support"})).encode()))

    served = repository.git("rev-parse", "production")
    for address, client, state, reason in (
        ("a:8731", "gw-1.17.3f9ac2", "current", None),
        ("b:8731", "gw-2.17.81b044", "rejected", "it has no guardrail `phi_redactor`"),
    ):
        stage.start_daemon(stage.folder, address)
        report(stage.addresses[address], client, commit=served, state=state, reason=reason)


def decide(commit: str, team: str, key: str | None, tags: list[str]) -> dict[str, object]:
    """A line of a daemon's decision log."""
    return {
        "time": "2026-11-28T03:14:15Z",
        "by": "resolve",
        "set": "production",
        "commit": commit,
        "policies": [],
        "guardrails": [],
        "unknown": [],
        "team": team,
        "key": key,
        "user": None,
        "tags": tags,
        "model": "gpt-4o",
        "tool": None,
    }


def report(address: str, client: str, **what: str | None) -> None:
    """Tells a daemon what a client enforces."""
    names = ["audit_log", "hipaa_audit", "pii_masker", "prompt_injection_check"]
    body = {
        "set": "production",
        "instant": None,
        "guardrails": [{"name": it, "modes": ["pre_call"]} for it in names],
        **what,
    }
    request = urllib.request.Request(
        f"http://{address}/v1/clients/{client}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        method="PUT",
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status < 300


def give_research_until_new_year(stage: Stage) -> None:
    """The attachment that the page shows, beside a baseline."""
    policy = "apiVersion: refguard/v1\nkind: Policy\nname: {}\nguardrails:\n  add: [{}]\n"
    shown = (stage.root / "docs/expiry.md").read_text().split("```yaml\n")[1].split("```")[0]
    stage.make_repository(
        {
            "policies/baseline.yaml": policy.format("baseline", "pii_masker"),
            "policies/debug.yaml": policy.format("debug-logging", "debug_log"),
            "attachments/baseline.yaml": "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: baseline\n"
            'scope: "*"\ndefault: true\n',
            "attachments/debug.yaml": shown,
        }
    )


def change_a_policy(stage: Stage) -> None:
    """A commit on main that is not promoted yet: the support team is checked for jailbreaks."""
    repository = stage.make_example()
    stage.write(
        {
            "policies/support.yaml": "apiVersion: refguard/v1\nkind: Policy\nname: support\ninherit: baseline\n"
            "guardrails:\n  add: [jailbreak_check]\n"
        }
    )
    attachment = "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: support\nteams: [support]\n"
    repository.commit("attachments/50-support.yaml", attachment, "support: check for jailbreaks")


def review_in_a_clone(stage: Stage) -> None:
    """In a clone, on a branch that takes a guardrail away."""
    origin = Repository.make(stage.folder.with_name(f"{stage.folder.name}-origin"), stage.program)
    origin.git("clone", "--quiet", str(origin.path), str(stage.folder))
    clone = Repository(stage.folder, stage.program)
    clone.git("checkout", "--quiet", "-b", "less")
    healthcare = (stage.folder / "policies/healthcare.yaml").read_text()
    clone.commit("policies/healthcare.yaml", healthcare.replace("hipaa_audit, phi_redactor", "hipaa_audit"))


def ask_a_proxy(stage: Stage) -> None:
    """A LiteLLM proxy that enforces two policies of a daemon's set."""
    stage.make_repository(policies_for_all({"one": "mark-a", "two": "mark-b"}))
    stage.start_daemon(stage.folder, LOOPBACK)
    stage.start_proxy(["mark-a", "mark-b"])


def compare_in_the_shadow(stage: Stage) -> None:
    """A LiteLLM proxy with a policy of its own, of which git's lacks a guardrail, and three calls."""
    stage.make_repository(policies_for_all({"baseline": "pii_masker"}))
    stage.start_daemon(stage.folder, LOOPBACK)
    config = "policies: {baseline: {guardrails: {add: [pii_masker, audit_log]}}}\n"
    config += 'policy_attachments: [{policy: baseline, scope: "*"}]\n'
    address = stage.start_proxy(["audit_log", "pii_masker"], settings={"REFGUARD_MODE": "shadow"}, config=config)
    for _ in range(3):
        call = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
        assert litellm.ask(address, "/v1/chat/completions", call)


def policies_for_all(guardrails: dict[str, str]) -> dict[str, str]:
    """A policy of each name with its guardrail, for every request."""
    text = "apiVersion: refguard/v1\nkind: Policy\nname: {0}\nguardrails:\n  add: [{1}]\n---\n"
    text += 'apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: {0}\nscope: "*"\n'
    return {f"policies/{name}.yaml": text.format(name, guardrail) for name, guardrail in guardrails.items()}


# By the page's path. A page with examples that is not here fails its test.
SCENES: dict[str, Callable[[Stage], None]] = {
    "README.md": start_in_a_clone_with_rust,
    "docs/answers.md": ask_about_a_guardrail,
    "docs/daemon.md": start_where_a_daemon_can_listen,
    "docs/environments.md": start_with_nothing,
    "docs/evidence.md": replay_a_log_and_ask_a_fleet,
    "docs/expiry.md": give_research_until_new_year,
    "docs/lifecycle.md": change_a_policy,
    "docs/moving-from-litellm.md": compare_in_the_shadow,
    "docs/reference.md": start_with_nothing,
    "docs/review.md": review_in_a_clone,
    "docs/tutorial.md": start_with_nothing,
    "docs/upgrade.md": start_with_the_example,
    "integrations/litellm/README.md": ask_a_proxy,
}
# These need a LiteLLM proxy.
WITH_LITELLM = {"docs/moving-from-litellm.md", "integrations/litellm/README.md"}
