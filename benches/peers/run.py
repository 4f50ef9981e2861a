#!/usr/bin/env python3
"""refguard beside other tools, on the same made-up sets, on this machine: python3 benches/peers/run.py

Builds refguard, fetches LiteLLM and check-jsonschema (PyPI) and Cerbos (npm) into target/peers, and prints tables.
Each figure is the best of some runs unless it says otherwise; on a busy machine all of them are worse. Requests a
second need `wrk` (https://github.com/wg/wrk).
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import daemons
import model

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PLACE = ROOT / "target" / "peers"
REFGUARD = ROOT / "target" / "dist" / "refguard"
PYTHON = PLACE / "venv" / "bin" / "python"
CERBOS = PLACE / "npm" / "node_modules" / "@cerbos" / "cerbos-linux-x64" / "cerbos-linux-x64"
TEAMS = 1000
SEED = 1


def sh(*command, **options):
    return subprocess.run([str(part) for part in command], check=True, **options)


def install(only):
    if only != "daemons":
        if not PYTHON.exists():
            sh(sys.executable, "-m", "venv", PLACE / "venv")
        sh(PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "litellm[proxy]==1.106.2",
           "check-jsonschema==0.39.0")
    if only in (None, "validate", "daemons") and not CERBOS.exists():
        (PLACE / "npm").mkdir(parents=True, exist_ok=True)
        sh("npm", "install", "--silent", "--prefix", PLACE / "npm", "@cerbos/cerbos-linux-x64@0.55.0")


def timed(*command, runs=5, shell=False, **options):
    """Best wall time of some runs, in seconds. What the command says is of no interest, that it failed is."""
    best = float("inf")
    for _ in range(runs):
        start = time.perf_counter()
        done = subprocess.run(command[0] if shell else [str(part) for part in command], shell=shell,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)
        best = min(best, time.perf_counter() - start)
        if done.returncode != 0:
            sys.exit(f"{command}: exit {done.returncode}: {done.stderr.decode()[-2000:]}")
    return best


def make(count):
    """The set of that size for each tool, and the set as a commit."""
    place = PLACE / "sets" / str(count)
    shutil.rmtree(place, ignore_errors=True)
    made = model.make(count, count, TEAMS, SEED)
    model.write_refguard(made, f"{place}/refguard")
    model.write_litellm(made, f"{place}/litellm")
    model.write_cerbos(made, f"{place}/cerbos")
    lines = [json.dumps(context) for context in model.contexts(made, 20_000, SEED + 1)]
    (place / "contexts.jsonl").write_text("".join(line + "\n" for line in lines))
    (place / "requests.jsonl").write_text("".join(f'{{"context": {line}}}\n' for line in lines))
    (place / "one.jsonl").write_text(f'{{"context": {lines[0]}}}\n')
    git = ["git", "-C", place / "refguard", "-c", "user.name=bench", "-c", "user.email=bench@example.org"]
    sh(*git, "init", "--quiet", "--initial-branch=main")
    sh(*git, "add", "--all")
    sh(*git, "-c", "gc.auto=0", "commit", "--quiet", "--message=made up")
    sh(*git, "repack", "-adq")
    return place


def table(title, header, rows):
    widths = [max(len(str(row[i])) for row in [header, *rows]) for i in range(len(header))]
    print(f"\n{title}\n")
    for row in [header, ["-" * width for width in widths], *rows]:
        print("| " + " | ".join(str(cell).ljust(width) for cell, width in zip(row, widths)) + " |")


def seconds(value):
    return f"{value:.3f} s"


def micros(value):
    return f"{value:.1f} µs" if value < 1000 else f"{value / 1000:.2f} ms"


def validate(place, count):
    ours = timed(REFGUARD, "-C", place / "refguard", "validate")
    cerbos = timed(CERBOS, "compile", place / "cerbos", runs=2)
    # It reads one document a file: policies only, not the attachments.
    files = PLACE / "files"
    files.write_text("\0".join(str(path) for path in sorted((place / "refguard" / "policies").rglob("*.yaml"))))
    check = timed(f"xargs -0 {PLACE}/venv/bin/check-jsonschema --schemafile {ROOT}/schema/policy.json < {files}",
                  shell=True, runs=2)
    table(f"Check {count:,} policies with {count:,} attachments, whole process", ["tool", "took", "times refguard"], [
        ["refguard validate (form, references, every rule)", seconds(ours), "1"],
        ["cerbos compile (as many policies)", seconds(cerbos), f"{cerbos / ours:.0f}"],
        ["check-jsonschema (form, policies only)", seconds(check), f"{check / ours:.0f}"],
    ])


def load(place, count):
    repository = place / "refguard"
    floor = timed("git ls-tree -r HEAD | cut -d' ' -f3 | cut -f1 | git cat-file --batch", shell=True, cwd=repository)
    ours = timed(REFGUARD, "-C", repository, "resolve", "--at", "HEAD", "--batch", place / "one.jsonl")
    table(f"From a commit to the first answer, {count:,} policies, no checkout", ["what", "took", "times git"], [
        ["git ls-tree -r into git cat-file --batch", seconds(floor), "1"],
        ["refguard resolve --at HEAD", seconds(ours), f"{ours / floor:.1f}"],
    ])


def resolve(places):
    rows = []
    for count, place in places.items():
        def batch(requests):
            return timed(REFGUARD, "-C", place / "refguard", "resolve", "--batch", place / requests)
        ours = max(batch("requests.jsonl") - batch("one.jsonl"), 0) / 19_999 * 1e6
        done = sh(PYTHON, ROOT / "benches/peers/litellm_latency.py", place / "litellm/config.yaml",
                  place / "contexts.jsonl", stdout=subprocess.PIPE)
        peer = float(done.stdout)
        rows.append([f"{count:,}", micros(ours), micros(peer), f"{peer / ours:.0f}"])
    table("One request (refguard: mean of --batch, reading and writing JSON included; LiteLLM: median in process)",
          ["attachments", "refguard", "LiteLLM 1.106.2", "ratio"], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=10_000, help="policies, and attachments, of the large set")
    parser.add_argument("--only", choices=["validate", "load", "resolve", "daemons"])
    parser.add_argument("--seconds", type=int, default=10, help="of each run of wrk")
    parser.add_argument("--no-build", action="store_true")
    args = parser.parse_args()
    os.chdir(ROOT)
    PLACE.mkdir(parents=True, exist_ok=True)
    if not args.no_build:
        sh("cargo", "build", "--profile", "dist", "--bin", "refguard", cwd=ROOT)
    install(args.only)
    if args.only != "daemons":
        processes(args)
    if args.only in (None, "daemons"):
        made = model.make(args.size, args.size, TEAMS, SEED)
        table(*daemons.compare(PLACE / "sets" / "daemons", CERBOS, made, args.seconds))


def processes(args):
    sizes = [size for size in (10, 100, 1_000) if size < args.size] if args.only in (None, "resolve") else []
    places = {count: make(count) for count in [*sizes, args.size]}
    large = places[args.size]
    if args.only in (None, "validate"):
        validate(large, args.size)
    if args.only in (None, "load"):
        load(large, args.size)
    if args.only in (None, "resolve"):
        resolve(places)


if __name__ == "__main__":
    main()
