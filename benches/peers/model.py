"""A made-up policy set, and its rendering for refguard and for each peer. Same seed, same set.

    python3 model.py refguard --policies 10000 --out DIR     a folder of YAML documents
    python3 model.py litellm  --policies 10000 --out DIR     config.yaml with `policies` and `policy_attachments`
    python3 model.py cerbos   --policies 10000 --out DIR     one resource policy a file, conditions of the same shape
    python3 model.py contexts --policies 10000 --out FILE    requests as JSON Lines
"""
import argparse
import json
import os
import random

REGIONS = ["eu", "us", "apac", "latam", "mea"]
DOMAINS = ["health", "finance", "legal", "retail", "research", "support", "hr", "platform", "growth", "risk"]
MODELS = ["gpt-4", "gpt-4o", "gpt-4-turbo", "gpt-5", "gpt-5-mini", "claude-opus-4", "claude-sonnet-4",
          "bedrock/claude-sonnet", "bedrock/llama-3", "azure/gpt-4o", "gemini-2.5-pro", "mistral-large"]
CONDITIONS = ["gpt-4.*", "gpt-5(-mini)?", "claude-(opus|sonnet)-.*", "bedrock/.*", "azure/gpt-4o",
              ["gpt-4", "gpt-4o"], ["gemini-.*", "mistral-large"]]
FAMILIES = ["bedrock/*", "azure/*", "gpt-*", "claude-*"]
ATTACHMENTS_A_FILE = 20


def make(policies, attachments, teams, seed):
    """The set: policies by name, attachments in order, and what exists."""
    dice = random.Random(seed)
    catalog = {
        "guardrails": [f"guardrail_{i:03d}" for i in range(120)],
        "teams": [f"{dice.choice(DOMAINS)}-{dice.choice(REGIONS)}-{i:05d}" for i in range(teams)],
        "keys": [f"{dice.choice(['prod', 'dev', 'ci'])}-key-{i:05d}" for i in range(teams)],
        "models": MODELS + ["gpt-4.1"],
        "tags": [f"{dice.choice(['phi', 'pci', 'pii', 'tier', 'proj'])}-{i:04d}" for i in range(max(20, teams // 10))],
    }
    names = []
    made = {}
    for i in range(policies):
        name = f"policy-{i:06d}"
        made[name] = policy(dice, i, names, catalog["guardrails"])
        names.append(name)
    return {
        "policies": made,
        "attachments": [attachment(dice, i, names, catalog) for i in range(attachments)],
        "catalog": catalog,
    }


def policy(dice, i, names, guardrails):
    made = {"description": f"Policy number {i} for {dice.choice(DOMAINS)}"}
    if names and dice.random() < 0.4:
        # A recent one, or one of the first: deep chains and crowded parents.
        made["inherit"] = dice.choice(names[-50:] if dice.random() < 0.5 else names[:20])
    made["guardrails"] = {"add": dice.sample(guardrails, dice.randint(1, 5))}
    if "inherit" in made and dice.random() < 0.3:
        made["guardrails"]["remove"] = dice.sample(guardrails, dice.randint(1, 2))
    if dice.random() < 0.25:
        made["condition"] = {"model": dice.choice(CONDITIONS)}
    if dice.random() < 0.1:
        made["pipeline"] = {"mode": dice.choice(["pre_call", "post_call"]), "steps": [
            {"guardrail": g, "on_fail": dice.choice(["block", "next", "modify_response"]), "on_pass": "next"}
            for g in made["guardrails"]["add"]]}
    return made


def attachment(dice, i, names, catalog):
    teams, keys = catalog["teams"], catalog["keys"]
    made = {"policy": names[i % len(names)]}
    kind = dice.random()
    if i < 3:
        made["scope"] = "*"
    elif kind < 0.45:
        made["teams"] = dice.sample(teams, min(len(teams), dice.randint(1, 3)))
    elif kind < 0.60:
        made["teams"] = [dice.choice(teams)[:dice.randint(9, 14)] + "*"]
        made["models"] = [dice.choice(MODELS)]
    elif kind < 0.80:
        made["keys"] = dice.sample(keys, min(len(keys), dice.randint(1, 3)))
    elif kind < 0.92:
        made["tags"] = [dice.choice(catalog["tags"])]
    else:
        made["teams"] = [dice.choice(teams)]
        made["models"] = [dice.choice(FAMILIES)]
    if dice.random() < 0.1:
        made["priority"] = dice.randint(-5, 100)
    if dice.random() < 0.02 and i > 3:
        made["default"] = True
    return made


def contexts(model, count, seed):
    """Requests by the set's teams, keys, models and tags; a third have tags."""
    dice = random.Random(seed)
    catalog = model["catalog"]
    for _ in range(count):
        context = {"team_alias": dice.choice(catalog["teams"]), "key_alias": dice.choice(catalog["keys"]),
                   "model": dice.choice(MODELS)}
        if dice.random() < 0.3:
            context["tags"] = dice.sample(catalog["tags"], dice.randint(1, 3))
        yield context


def write(path, text):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def block(fields, indent=""):
    """YAML as people write it: a line a field, a line an item."""
    text = ""
    for key, value in fields.items():
        if isinstance(value, dict):
            text += f"{indent}{key}:\n{block(value, indent + '  ')}"
        elif isinstance(value, list) and isinstance(value[0], dict):
            steps = (block(step, indent + "    ") for step in value)
            text += f"{indent}{key}:\n" + "".join(f"{indent}  - {step.lstrip()}" for step in steps)
        elif isinstance(value, list) and key != "model":
            text += f"{indent}{key}:\n" + "".join(f"{indent}  - {item}\n" for item in value)
        else:
            plain = key in ("inherit", "mode", "guardrail", "on_fail", "on_pass")
            text += f"{indent}{key}: {value if plain else json.dumps(value)}\n"
    return text


def write_refguard(model, out):
    header = "apiVersion: refguard/v1\nkind: "
    write(f"{out}/refguard.yaml", header + "Repository\n")
    lists = ("guardrails", "teams", "keys", "models")
    write(f"{out}/catalog.yaml", header + "Catalog\n" + "".join(
        f"{key}:\n" + "".join(f"  - {json.dumps(name)}\n" for name in model["catalog"][key]) for key in lists))
    for name, made in model["policies"].items():
        write(f"{out}/policies/{name[-2:]}/{name}.yaml", f"{header}Policy\nname: {name}\n{block(made)}")
    items = [f"{header}PolicyAttachment\n" + "".join(f"{k}: {json.dumps(v)}\n" for k, v in made.items())
             for made in model["attachments"]]
    for start in range(0, len(items), ATTACHMENTS_A_FILE):
        write(f"{out}/attachments/{start // ATTACHMENTS_A_FILE:06d}.yaml",
              "---\n".join(items[start:start + ATTACHMENTS_A_FILE]))


def write_litellm(model, out):
    # JSON is YAML.
    write(f"{out}/config.yaml",
          json.dumps({"policies": model["policies"], "policy_attachments": model["attachments"]}, indent=1))


def expression(made):
    """An attachment as a condition in CEL."""
    parts = []
    for key, field in (("teams", "team"), ("keys", "key"), ("models", "model")):
        if made.get(key):
            parts.append("(" + " || ".join(
                f'R.attr.{field}.startsWith("{p[:-1]}")' if p.endswith("*") else f'R.attr.{field} == "{p}"'
                for p in made[key]) + ")")
    if made.get("tags"):
        parts.append("(" + " || ".join(f'"{tag}" in R.attr.tags' for tag in made["tags"]) + ")")
    return " && ".join(parts) or "true"


def write_cerbos(model, out):
    attached = {}
    for made in model["attachments"]:
        attached.setdefault(made["policy"], []).append(made)
    for name in model["policies"]:
        expr = " || ".join(expression(made) for made in attached.get(name, [{"teams": ["nobody"]}]))
        write(f"{out}/{name[-2:]}/{name}.yaml",
              "apiVersion: api.cerbos.dev/v1\nresourcePolicy:\n  version: default\n"
              f"  resource: {name.replace('-', '_')}\n  rules:\n    - actions: ['apply']\n      effect: EFFECT_ALLOW\n"
              f"      roles: ['*']\n      condition:\n        match:\n          expr: {json.dumps(expr)}\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dialect", choices=["refguard", "litellm", "cerbos", "contexts"])
    parser.add_argument("--policies", type=int, default=1000)
    parser.add_argument("--attachments", type=int, help="default: as many as policies")
    parser.add_argument("--teams", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    model = make(args.policies, args.attachments or args.policies, args.teams, args.seed)
    if args.dialect == "contexts":
        write(args.out, "".join(json.dumps(c) + "\n" for c in contexts(model, args.requests, args.seed + 1)))
    else:
        {"refguard": write_refguard, "litellm": write_litellm, "cerbos": write_cerbos}[args.dialect](model, args.out)


if __name__ == "__main__":
    main()
