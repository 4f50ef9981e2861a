"""The reference, told by the program itself: each page is made of what the binary, a real daemon and the schemas say.

Nothing here lists verbs, fields, metrics, gates, codes, limits or paths a second time. What people wrote about them,
such as what a gate refuses, is taken from the one page that says it.
"""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# A schema's type for a person.
PLURALS = {"string": "text", "integer": "number", "boolean": "true or false", "object": "mapping", "null": "nothing"}
PATIENCE = 60
AUTHOR = {f"GIT_{who}_{what}": "reference" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
EXPIRING = """apiVersion: refguard/v1
kind: PolicyAttachment
policy: baseline
teams: [support]
expires: 9998-12-31
"""


def ask(program: Path, *words: str | Path) -> str:
    """What the program prints."""
    return subprocess.run([program, *words], check=True, capture_output=True, text=True, env=own_variables()).stdout


def own_variables() -> dict[str, str]:
    """Nothing of who builds the pages."""
    return {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", **AUTHOR}


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table of Markdown; what would end a cell does not."""
    lines = [head, ["---"] * len(head), *([it.replace("|", "\\|") for it in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


# Verbs


def write_commands(program: Path) -> str:
    """Every verb with its help, also the verbs below a verb."""
    parts = ["# Commands\n", "What `refguard VERB --help` says, of every verb.\n"]
    for verb, text in list_helps(program):
        parts.append(f"## {' '.join(('refguard', *verb))}\n\n```text\n{text.strip()}\n```\n")
    return "\n".join(parts)


def list_helps(program: Path) -> list[tuple[tuple[str, ...], str]]:
    """Each verb's help, the program's own first."""
    found: list[tuple[tuple[str, ...], str]] = []
    todo: list[tuple[str, ...]] = [()]
    while todo:
        verb = todo.pop(0)
        text = ask(program, *verb, "--help")
        found.append((verb, text))
        todo += [(*verb, name) for name in list_verbs(text) if name != "help"]
    return found


def list_verbs(text: str) -> list[str]:
    """The verbs that a help names."""
    _, _, rest = text.partition("\nCommands:\n")
    return re.findall(r"^  ([a-z][a-z-]*) ", rest.partition("\n\n")[0], re.MULTILINE)


@dataclass
class Option:
    """An option of a verb, as its help tells it."""

    flag: str
    value: str
    about: str
    default: str
    section: str


def list_options(text: str) -> list[Option]:
    """The options that a help tells."""
    found: list[Option] = []
    section = ""
    for block in re.split(r"\n\n(?=\S)", text.partition("\nOptions:\n")[2]):
        head, _, rest = block.partition("\n")
        if not head.startswith(" "):
            section, block = head.rstrip(":"), rest
        # Each begins with its flag, further in than its section and less far in than its words.
        for part in re.split(r"\n(?= {2,6}-)", "\n" + block)[1:]:
            line, _, words = part.partition("\n")
            flag = re.search(r"(--[a-z-]+)\s*(.*)", line)
            if flag:
                default = re.search(r"\[default: ([^\]]*)\]", words)
                about = " ".join(re.split(r"\n\s*\n", words)[0].split())
                told = (flag[2], about, default[1] if default else "", section)
                found.append(Option(flag[1], *told))
    return found


# Documents


def write_documents(folder: Path) -> str:
    """Every kind of document with its fields, by the schemas."""
    parts = ["# Documents\n", "Every field of every kind, by the schemas in `schema/`. Editors check by the same.\n"]
    for path in sorted(folder.glob("*.json")):
        schema = json.loads(path.read_text())
        if "allOf" in schema:
            continue  # the one for all kinds, made of the others
        parts.append(f"## {schema['title']}\n\n{schema.get('description', '')}\n")
        parts.append(write_fields(schema))
        for name, nested in sorted(schema.get("$defs", {}).items()):
            if "properties" in nested:
                parts.append(f"### {schema['title']}: {name.removeprefix('Raw')}\n\n{nested.get('description', '')}\n")
                parts.append(write_fields(nested))
    return "\n".join(parts)


def write_fields(schema: dict[str, Any]) -> str:
    """A table of the fields of a mapping."""
    rows = []
    for name, about in schema["properties"].items():
        mark = " (must be there)" if name in schema.get("required", []) else ""
        told = " ".join(about.get("description", "").split())
        rows.append([f"`{name}`", f"{name_type(about)}{mark}", told])
    return table(["field", "is", "what it says"], rows)


def name_type(about: dict[str, Any]) -> str:
    """A field's type in words."""
    if reference := about.get("$ref"):
        return reference.split("/")[-1].removeprefix("Raw")
    if "const" in about or "enum" in about:
        return " or ".join(f"`{it}`" for it in about.get("enum", [about.get("const")]))
    for key in ("anyOf", "oneOf"):
        if key in about:
            named = [name_type(it) for it in about[key]]
            return " or ".join(dict.fromkeys(it for it in named if it != "nothing"))
    types = about.get("type", "anything")
    named = [PLURALS.get(it, it) for it in (types if isinstance(types, list) else [types])]
    if "array" in named:
        named[named.index("array")] = f"list of {name_type(about.get('items', {}))}"
    return " or ".join(it for it in named if it != "nothing") or "anything"


# A daemon


@dataclass
class Daemon:
    """A daemon of the example that has met everything it has a metric for."""

    address: str

    def call(self, path: str, body: object = None, method: str = "GET") -> str:
        """What it answers."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.address + path, data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.read().decode()


@contextmanager
def run_daemon(program: Path) -> Iterator[Daemon]:
    """A daemon with a shadow, a receiver of events, a client, something that ends, and a commit that it rejects."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "policies"
        ask(program, "init", place)
        commit(place, "attachments/50-support.yaml", EXPIRING)
        move_production(place)
        baseline = (place / "policies/baseline.yaml").read_text()
        commit(place, "policies/baseline.yaml", baseline.replace("audit_log, ", ""))
        words = ["--shadow", "main", "--notify", "http://127.0.0.1:9/", "--poll", "1s", "--listen", "127.0.0.1:0"]
        running = subprocess.Popen(
            [program, "-C", place, "serve", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=own_variables(),
        )
        try:
            assert running.stdout is not None
            ready, _, _ = select.select([running.stdout], [], [], PATIENCE)
            line = running.stdout.readline() if ready else ""
            if not line.startswith("listening on "):
                raise SystemExit("the daemon does not say where it listens")
            daemon = Daemon(line.removeprefix("listening on ").strip())
            wait_for(lambda: "refguard_ready 1" in read(daemon))
            served = json.loads(daemon.call("/v1/status"))["sets"][0]["commit"]
            report = {"set": "production", "commit": served, "instant": None, "state": "current", "reason": None}
            daemon.call("/v1/clients/reference", {**report, "guardrails": []}, "PUT")
            request = {"context": {"team": "support", "model": "gpt-4o"}}
            # Requests are compared behind their answers.
            wait_for(lambda: daemon.call("/v1/resolve", request, "POST") and "shadow_guardrails_total{" in read(daemon))
            commit(place, "policies/baseline.yaml", "apiVersion: refguard/v1\nkind: Policy\n")
            move_production(place)
            wait_for(lambda: "refguard_rejected_info{" in read(daemon))
            yield daemon
        finally:
            running.terminate()
            running.wait(PATIENCE)


def commit(place: Path, path: str, text: str) -> None:
    """Writes a file of a repository and commits it."""
    (place / path).write_text(text)
    for words in (["add", "--all"], ["commit", "--quiet", "--message", path]):
        subprocess.run(["git", "-C", place, *words], check=True, env=own_variables())


def move_production(place: Path) -> None:
    """Production is what was committed last, past every gate."""
    subprocess.run(["git", "-C", place, "branch", "--force", "production"], check=True, env=own_variables())


def read(daemon: Daemon) -> str:
    """The metrics as they are now."""
    return daemon.call("/metrics")


def wait_for(happens: Any) -> None:
    """Asks until something is so."""
    end = time.monotonic() + PATIENCE
    while not happens():
        if time.monotonic() > end:
            raise SystemExit("the daemon for the reference does not come to what it is asked for")
        time.sleep(0.05)


@dataclass
class Metric:
    """A family of metrics."""

    name: str
    kind: str
    help: str
    labels: list[str] = field(default_factory=list)


def list_metrics(text: str) -> list[Metric]:
    """The metrics of OpenMetrics text, with the labels that their samples have."""
    found: dict[str, Metric] = {}
    for name, told in re.findall(r"^# HELP (\S+) (.*)$", text, re.MULTILINE):
        found[name] = Metric(name, "", told)
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE):
        found[name].kind = kind
    for name, labels in re.findall(r"^(refguard_\w+?)(?:_total|_bucket|_sum|_count)?(?:\{(.*)\})? \S+$", text, re.M):
        for label in re.findall(r'(\w+)="', labels):
            if label not in found[name].labels and label != "le":
                found[name].labels.append(label)
    for metric in found.values():
        metric.name += "_total" if metric.kind == "counter" else ""
    return list(found.values())


def write_metrics(text: str) -> str:
    """Every metric with its type, its labels and its help, as a daemon tells them."""
    head = "# Metrics\n\nWhat `/metrics` of a daemon has, in the text of OpenMetrics. What to watch is told in\n"
    head += "[The daemon](daemon.md#is-it-well); alerts are in the [runbook](runbook.md#by-alert).\n\n"
    rows = [
        [f"`{it.name}`", it.kind, ", ".join(f"`{label}`" for label in it.labels), it.help]
        for it in sorted(list_metrics(text), key=lambda it: it.name)
    ]
    return head + table(["metric", "type", "labels", "is"], rows)


# Gates, exit codes, limits


def list_gates(program: Path) -> list[str]:
    """The gates in the order in which a promotion asks them."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "policies"
        ask(program, "init", place)
        commit(place, "attachments/50-support.yaml", EXPIRING)
        said = ask(program, "-C", place, "promote", "--dry-run")
    return re.findall(r"^gate ([a-z]+): ", said, re.MULTILINE)


def read_table(page: str, heading: str, first: str = "") -> list[list[str]]:
    """The first table below a heading of a page whose first column is called `first`, cell by cell, its head first."""
    section = page.split(f"\n## {heading}\n", 1)[1]
    lines = re.search(rf"^\| {first}(?:.*\n\|)+.*\n", section, re.MULTILINE)
    assert lines, f"no table below {heading}"
    rows = [re.split(r"(?<!\\)\|", line.strip().strip("|")) for line in lines[0].splitlines()]
    return [[cell.strip() for cell in row] for row in rows if set("".join(row)) != {"-"}]


def write_gates(program: Path, lifecycle: str) -> str:
    """Every gate that the program asks, with what passes it; what it refuses is told in docs/lifecycle.md."""
    refuses = {row[0]: row[1] for row in read_table(lifecycle, "The gates")[1:]}
    flags = {}
    for option in list_options(ask(program, "promote", "--help")):
        if gate := re.match(r"Pass the gate \*([a-z]+)\*", option.about):
            flags[gate[1]] = f"`{' '.join((option.flag, option.value)).strip()}`"
    head = (
        "# Gates\n\nWhat `refguard promote` asks, in this order, and the hook `pre-receive` again. `--dry-run` says\n"
    )
    head += "what each answers. Whose settings count is told in [the life of a version](lifecycle.md#the-gates).\n\n"
    rows = []
    for gate in list_gates(program):
        if gate not in refuses:
            raise SystemExit(f"docs/lifecycle.md does not say what the gate `{gate}` refuses")
        rows.append([f"`{gate}`", refuses[gate], flags.get(gate, "nothing")])
    return head + table(["gate", "refuses", "passed by"], rows)


def write_exit_codes(program: Path) -> str:
    """What each exit code means, and what verbs say of their own."""
    helps = list_helps(program)
    told = re.search(r"Exit codes: (.*?)\.\n\n", helps[0][1], re.DOTALL)
    assert told, "the help does not tell the exit codes"
    codes = re.findall(r"(\d) (.*?)(?=, \d |$)", " ".join(told[1].split()))
    rows = [[f"`{code}`", meaning] for code, meaning in codes]
    text = "# Exit codes\n\n" + table(["code", "means"], rows) + "\nWhat verbs say of theirs:\n\n"
    own = []
    for verb, words in helps[1:]:
        plain = " ".join(words.partition("\nUsage:")[0].split())
        for sentence in re.findall(r"[^.]*\b[Ee]xits? \d[^.]*\.", plain):
            own.append([f"`{' '.join(verb)}`", sentence.strip()])
    return text + table(["verb", "says"], own)


def write_limits(program: Path) -> str:
    """What a daemon takes at most: what its options set, a number or a time, and what none does."""
    text = ask(program, "serve", "--help")
    fixed = text.partition("\nLimits that no option sets:\n")[2]
    rows = [
        [f"`{it.flag}`", it.about, f"`{it.default}`"]
        for it in list_options(text)
        if re.fullmatch(r"\d+[a-z]?", it.default)
    ]
    head = "# Limits\n\nNumbers and times of a daemon. Options set these:\n\n"
    head += table(["option", "is", "default"], rows) + "\nNo option sets these:\n\n"
    return head + "".join(f"- {line.strip()}\n" for line in fixed.splitlines() if line.strip())


# The HTTP API


def write_api(description: dict[str, Any]) -> str:
    """Every path with its methods, parameters and answers, by the daemon's own description."""
    text = f"# HTTP API\n\n{description['info']['description']} A daemon describes itself at `/openapi.json`.\n"
    for path, methods in description["paths"].items():
        alike: dict[str, list[str]] = {}
        for method, operation in methods.items():
            key = json.dumps({name: value for name, value in operation.items() if name != "operationId"})
            alike.setdefault(key, []).append(method.upper())
        for key, names in alike.items():
            text += f"\n## {', '.join(names)} {path}\n\n{write_operation(json.loads(key))}"
    for name, schema in sorted(description["components"]["schemas"].items()):
        if "properties" in schema:
            told = schema.get("description", "")
            text += f"\n## Form {name}\n\n" + (f"{told}\n\n" if told else "") + write_fields(schema)
    return text


def write_operation(operation: dict[str, Any]) -> str:
    """What it is, takes and answers."""
    text = f"{operation['summary']}.\n"
    parameters = [
        [f"`{it['name']}`", it["in"] + (" (must be there)" if it.get("required") else ""), it.get("description", "")]
        for it in operation.get("parameters", [])
    ]
    if parameters:
        text += "\n" + table(["parameter", "in", "is"], parameters)
    if body := operation.get("requestBody"):
        forms = [f"{name_type(it.get('schema', {}))} (`{kind}`)" for kind, it in body["content"].items()]
        text += f"\nBody: {' or '.join(forms)}.\n"
    answers = []
    for status, answer in operation["responses"].items():
        forms = [f"{name_type(it.get('schema', {}))} (`{kind}`)" for kind, it in answer.get("content", {}).items()]
        answers.append([f"`{status}`", answer.get("description", ""), ", ".join(forms)])
    return text + "\n" + table(["answer", "means", "body"], answers)
