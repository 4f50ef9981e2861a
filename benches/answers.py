#!/usr/bin/env python3
"""What answers for people cost, on this machine: python3 benches/answers.py [--policies 10000] [--promotions 1000] [--rounds 5]

Builds refguard and prints how long `blame` takes on so many promotions, each of which changed one policy; `why`, the first
time and again; and `matrix` of 1,000 teams × 100 models. Each is a run of the program, from its start to its end.
"""
import argparse
import statistics
import subprocess
import time

import harness
from evidence import Set, say
from harness import sh

TEAMS, MODELS = 1_000, 100
WHO = "bench <bench@example.org>"


class Importer:
    """Commits of a repository without its work tree, by `git fast-import`."""

    def __init__(self, path):
        words = ["git", "-C", str(path), "fast-import", "--quiet", "--force", "--cat-blob-fd=1"]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.marks = {}

    def commit(self, ref, parents, message, second, files):
        number = len(self.marks) + 1
        lines = [f"commit {ref}", f"mark :{number}", f"committer {WHO} {second} +0000", f"data {len(message)}", message]
        # What was made here is known by its mark until the import ends.
        known = [self.marks.get(parent, parent) for parent in parents]
        lines += [f"{word} {parent}" for word, parent in zip(["from", "merge"], known)]
        for path, text in files.items():
            lines += [f"M 100644 inline {path}", f"data {len(text)}", text]
        self.process.stdin.write("\n".join([*lines, "", f"get-mark :{number}", ""]).encode())
        self.process.stdin.flush()
        commit = self.process.stdout.readline().decode().strip()
        self.marks[commit] = f":{number}"
        return commit

    def close(self):
        self.process.stdin.close()
        if self.process.wait():
            raise SystemExit("git fast-import failed")


def promote_often(repository, count):
    """Promotions that each change one policy, as `promote` makes them."""
    digest = "0" * 64
    files = sorted(repository.path.glob("policies/**/*.yaml"))
    texts = {file: file.read_text() for file in files[:count]}
    main, tip = repository.git("rev-parse", "main"), None
    importer = Importer(repository.path)
    begin = int(time.time()) - 60 * count
    for number in range(1, count + 1):
        file = files[number % len(texts)]
        texts[file] = texts[file].replace("description: ", "description: again ", 1)
        path = str(file.relative_to(repository.path))
        changed = {path: texts[file]}
        second = begin + 60 * number
        main = importer.commit("refs/heads/main", [main], f"change {number}", second, changed)
        trailers = {"Promotion": number, "Environment": "production", "Commit": main, "Digest": digest,
                    **({"Previous": tip} if tip else {}), "Root": ".", "Version": "0.2.0"}
        message = f"promote {main[:10]} to production\n\n" + "\n".join(f"Refguard-{key}: {value}" for key, value in trailers.items())
        parents = [tip, main] if tip else [main]
        tip = importer.commit("refs/heads/production", parents, message + "\n", second + 1, changed)
    importer.close()
    repository.git("update-ref", "refs/refguard/ledger/production", tip)
    repository.git("reset", "--quiet", "--hard", "main")
    repository.git("repack", "-adq")


def timed(repository, *words):
    start = time.perf_counter()
    sh(harness.REFGUARD, "-C", repository.path, *words)
    return time.perf_counter() - start


def tell(repository, rounds, what, *words):
    first = timed(repository, *words)
    again = [timed(repository, *words) for _ in range(rounds)]
    say(what, f"first {first * 1000:,.0f} ms; again {statistics.median(again) * 1000:,.0f} ms (median of {rounds})")


def answer(place, arguments):
    repository = Set(place / "asked", arguments.policies)
    start = time.perf_counter()
    promote_often(repository, arguments.promotions)
    say(f"made {arguments.promotions:,} promotions of {arguments.policies:,} policies in", f"{time.perf_counter() - start:.0f} s")
    request = repository.contexts[0]
    context = ["--team", request["team_alias"], "--key", request["key_alias"], "--model", request["model"]]
    rounds = arguments.rounds
    tell(repository, rounds, "status", "status")
    tell(repository, rounds, "blame, every guardrail", "blame", *context)
    tell(repository, rounds, "blame, one guardrail", "blame", *context, "--guardrail", "guardrail_001")
    tell(repository, rounds, "why", "why", *context, "--guardrail", "guardrail_001")
    catalog = repository.path / "catalog.yaml"
    listed = catalog.read_text().split("models:\n")[1].count("\n")
    # The models stand last in the file.
    with catalog.open("a") as out:
        out.writelines(f"  - family-{number % 7}/model-{number}\n" for number in range(listed, MODELS))
    words = ["matrix", "--worktree", "--by", "team,model", "--format", "json"]
    tell(repository, rounds, f"matrix of {TEAMS:,} teams × {MODELS} models", *words)
    tell(repository, rounds, "the same for one guardrail", *words, "--guardrail", "guardrail_001")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policies", type=int, default=10_000)
    parser.add_argument("--promotions", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=5)
    harness.take_program(parser)
    arguments = parser.parse_args()
    with harness.scratch_folder(arguments.refguard) as place:
        answer(place, arguments)


if __name__ == "__main__":
    main()
