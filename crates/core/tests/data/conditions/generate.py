#!/usr/bin/env python3
"""Writes what Python's `re` makes of condition patterns, for refguard to be held against.

    python3 crates/core/tests/data/conditions/generate.py

`python-re.jsonl`: a pattern a line. `from` says where it comes from:
    grammar   drawn from the condition grammar: refguard must accept it
    written   by hand, both sorts
    noise     random characters that mean something, most of them errors
With `error`, Python refuses the pattern; else `yes` and `no` list models for which the condition holds or
does not: equal to the pattern, or `re.fullmatch`.

`python-sets.json`: over all characters, those that `\\d`, `\\w`, `\\s` and `.` match (as ranges of code points),
and the groups of letters that are the same under `(?i)`.

Needs Python 3.11 (Unicode 14); the same seed gives the same files.
"""

import json
import random
import re
import signal
import sys
import unicodedata
import warnings
from pathlib import Path

HERE = Path(__file__).parent
RANDOM = random.Random(20260801)
MAX_CODE = 0x110000

# Characters on which engines and languages differ, with some on which they do not.
ODD = "²½٣३²Ⅷⅷ①ⒶⓐſKkKiIİıßẞéÉΣσςͅι\u0301\u1c80\ua7cb\u0264" "\x1c\x1f\x85\xa0\u2028\u200b\n\r\t \x00_-ǅdžΐ\u1fd3ﬅﬆ𐐀𐐨中𝟘"
PLAIN = "gptoclaude4351-_/:.@ "
META = "\\.[](){}|*+?^$"

WRITTEN = r"""
gpt-4.* gpt-4(o|-turbo) (gpt|claude)-.* claude-3\.5-.* \w+-\d.* (?i)gpt-4 ^gpt-4o$ gpt-4|gpt-4o gpt-4* claude-* bedrock/* * .* o1+ o1|o3
azure/gpt-4[.1]* [a-z]+/[a-z0-9-]+ gpt-[^4].* gpt-(3\.5|4)-.+ gpt-4-\d{4} gpt-4-\d{4}-\d{2}-\d{2} ft:gpt-3\.5-turbo:.* (?i)^GPT-4O$ (?:a|b)c
^ $ ^$ ^a|b$ ^a$ a|^b a$|b (^a) (a$) a^ $a ^^a a$$ ^* $* (?i)^ (?i)$ (?i) (?i)a (?i)(?i)a a(?i) (?i:a) (?-i:a) (?im)a (?x)a (?s). (?m)^a (?a)\w (?u)\w (?L)a (?i
a** a*+ a++ a?+ a{2}+ a{2}{3} a*? a+? a?? a{2}? a{2,}? a{2,3}? a*?? a*?+ a+?* a{2}?? (a*)* (a*)+ (a+)? (?:a*)* (?:)* ()* ()+ (?:|a)+ (?:a|)* (|a){2,3} (?:(?:a|)|b)*
* + ? {2} a|* (*a) (?:+) |+ a{,3} a{,} a{} a{ a{x} a{2 a{2, a{2,x} a{-1} a{2,1} a{3,3} a{02} a{0} a{0,} a{0,0} (a){0} a{1001} a{99999999999} {a} } a} ] a]
[abc] [^abc] [a-c] [^a-c] [a-] [-a] [a-c-e] [-] [^-] [^^] [a^] []a] [^]a] [] [^] [a [ [a- [[a] [[a]] [a[b] [a-[] [[:alpha:]] [[.a.]] [[=a=]] [a&&b] [&&] [a&b] [a--b] [--] [a~~b] [a~b] [a||b] [a|b]
[+--] [!-&&b] [a-z&&[^b]] [z-a] [\d] [^\d] [\w-] [\w-z] [a-\d] [\d-\w] [\s\S] [\D] [\b] [\]] [\[] [\-] [\^] [\!-\/] [.] [*+?(){}$|] [\.\*] [\n] [\x41] [é] [а-я] (?i)[а-я] (?i)[k] (?i)[^k] (?i)[h-j] (?i)[^h-j] (?i)[ſ] (?i)[\w] (?i)[^\w]
\d \w \s \D \W \S \b \B \A \Z \z \< \> \1 (a)\1 \0 \01 \12 \x41 \u0041 \U00000041 \N{DIGIT\ ONE} \p{L} \pL \n \t \a \Q \E \k<a> \g<1> \. \- \_ \/ \: \@ \# \& \~ \% \, \; \! \" \' \` \= \} \] \é \\ \
(a (a)) ) a) ( (?:a (?:a) (?P<n>a) (?P<n>a)(?P=n) (?<n>a) (?=a) (?!a) (?<=a) (?<!a) (?>a) (?#c) (?(1)a) (a)(?(1)b) (?|a) (?P>n) (?R) (?&n) (?') (? (?) (?: (?^a) (a|b (a|)b |a a| || (|) a||b
a)|(?:b (?i)İ (?i)ı (?i)ſ (?i)K (?i)ß (?i)ẞ (?i)ς (?i)ͅ (?i)ΐ (?i)ﬅ (?i)DŽ (?i)𐐀 (?i)[𐐀-𐐧] (?i)[𐐀ﬆ] (?i)[🀀] [𐐀-𐐧] (?i)[A-🀀] [A-🀀] (?i)Ⓐ (?i)ⅷ (?i)ɤ (?i)Ɤ
""".split()
WRITTEN += ["", " ", "a b", r"a\ b", "a\nb", "a#b", "(?i) a", "(?x) a # b", "[ ]", "gpt 4.*", r"\w{1,20}", r"(?:\w{1,100}){1,100}", "a{2, 3}", "a{ 2}", ".\n", "[\n]", "\x00", "é+", "中.*"]

MODELS = """gpt-4 gpt-4o gpt-4o-mini gpt-4-turbo gpt-3.5-turbo claude-3.5-sonnet claude-3x5-a GPT-4 GPT-4O o1 o11 o1+ azure/gpt-4.1 bedrock/x bedrock/*
a b aa aaa ab abc ba c - _ 4 a- [a] a] ] [ ^ a^ $ * . é É""".split() + ["", "a\n", "\na", "a b", "gpt-4\n"]


def too_slow(_signal, _frame):
    raise TimeoutError


def answer(pattern, models, source):
    """The row of a pattern; None if Python cannot say in time."""
    signal.setitimer(signal.ITIMER_REAL, 2)
    try:
        compiled = re.compile(pattern)
        split = {True: [], False: []}
        for model in dict.fromkeys(models):
            split[model == pattern or compiled.fullmatch(model) is not None].append(model)
        return {"pattern": pattern, "from": source, "yes": split[True], "no": split[False]}
    except (re.error, OverflowError, RecursionError) as error:
        return {"pattern": pattern, "from": source, "error": str(error)}
    except TimeoutError:
        return None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


# Each of these gives a pattern and a function that draws a string that it matches, more or less.


def character():
    return RANDOM.choice(PLAIN) if RANDOM.random() < 0.8 else RANDOM.choice(ODD)


def literal():
    c = character()
    if c in META or (c.isascii() and not c.isalnum() and c.isprintable() and RANDOM.random() < 0.3):
        return "\\" + c, lambda: c
    return c, lambda: c


def escape():
    which = RANDOM.choice("dws")
    some = {"d": "07३𝟘²", "w": "aZ_9²Ⅷé\u0301ͅ", "s": " \t\n\x1c\x85\xa0\u2028\u200b"}[which]
    return "\\" + which, lambda: RANDOM.choice(some)


def bracket():
    parts, some = [], []
    for _ in range(RANDOM.randint(1, 4)):
        kind = RANDOM.random()
        if kind < 0.2:
            part, draw = escape()
            parts.append(part)
            some.append(draw())
        elif kind < 0.5:
            plane = RANDOM.choice([PLAIN + "AZaz09", [c for c in ODD if c < "\U00010000"]])
            low, high = sorted(RANDOM.choices(plane, k=2))
            quoted = ["\\" + c if c in META + "-&~|" else c for c in (low, high)]
            parts.append("-".join(quoted))
            some += [low, high, chr((ord(low) + ord(high)) // 2)]
        else:
            c = RANDOM.choice(PLAIN + ODD + META)
            parts.append("\\" + c if c in "\\[]^-&~|" else c)
            some.append(c)
    negated = RANDOM.random() < 0.3
    # A `-` after a set that has no `-` beside it reads as itself.
    tail = "-" if RANDOM.random() < 0.1 else ""
    return "[" + "^" * negated + "".join(parts) + tail + "]", lambda: RANDOM.choice(some + [character()])


def atom(depth):
    kind = RANDOM.random()
    if kind < 0.55 or depth == 0 and kind < 0.65:
        return literal()
    if kind < 0.65:
        inner, draw = alternation(depth - 1)
        return RANDOM.choice(["(", "(?:"]) + inner + ")", draw
    if kind < 0.75:
        return escape()
    if kind < 0.85:
        return ".", lambda: RANDOM.choice("ax.\n-中")
    return bracket()


def repeated(depth):
    pattern, draw = atom(depth)
    if RANDOM.random() < 0.65:
        return pattern, draw
    low = RANDOM.randint(0, 3)
    high = low + RANDOM.randint(0, 2)
    mark, least, most = RANDOM.choice(
        [("*", 0, 3), ("+", 1, 3), ("?", 0, 1), (f"{{{low}}}", low, low), (f"{{{low},}}", low, low + 2), (f"{{{low},{high}}}", low, high)]
    )
    lazy = "?" if RANDOM.random() < 0.25 else ""
    return pattern + mark + lazy, lambda: "".join(draw() for _ in range(RANDOM.randint(least, most)))


def sequence(depth):
    items = [repeated(depth) for _ in range(RANDOM.choice([0, 1, 1, 2, 2, 3, 4, 5]))]
    return "".join(p for p, _ in items), lambda: "".join(draw() for _, draw in items)


def alternation(depth):
    branches = [sequence(depth) for _ in range(RANDOM.choice([1, 1, 1, 2, 3]))]
    return "|".join(p for p, _ in branches), lambda: RANDOM.choice(branches)[1]()


def mutated(model):
    at = RANDOM.randint(0, len(model))
    kind = RANDOM.random()
    if kind < 0.35:
        return model[:at] + character() + model[at:]
    if kind < 0.6:
        return model[:at] + model[at + 1 :]
    if kind < 0.7:
        return model + "\n"
    if kind < 0.85:
        return model.swapcase()
    return model[:at] + RANDOM.choice(ODD) + model[at + 1 :]


def from_grammar():
    pattern, draw = alternation(2)
    pattern = "^" * (RANDOM.random() < 0.1) + pattern + "$" * (RANDOM.random() < 0.1)
    # Python mistakes upper-case letters beyond U+FFFF in a set under `(?i)`, so the grammar has none there.
    if RANDOM.random() < 0.3 and not re.search(r"\[(\\.|[^]\\])*[\U00010000-\U0010ffff]", pattern):
        pattern = "(?i)" + pattern
    drawn = [draw()[:16] for _ in range(4)]
    models = drawn + [mutated(m) for m in drawn] + [pattern, character(), RANDOM.choice(ODD)]
    return answer(pattern, models, "grammar")


def from_noise():
    pieces = list("ab1-^$|()[].*+?{}\\,:&~ii") + ["(?", "(?:", "(?i)", "[^", "\\d", "\\w", "{1,2}", "{2}", "--", "&&", "é", "\\b", "a", "a", "b"]
    pattern = "".join(RANDOM.choices(pieces, k=RANDOM.randint(1, 7)))
    plain = re.sub(r"[\\^$|()\[\]*+?{}]", "", pattern)
    models = [pattern, plain, plain[::-1], mutated(plain), "a", "b", "aa", "ab", "-", "&", "~", "1", "A", "", "\n"]
    return answer(pattern, models, "noise")


def ranges(codes):
    out = []
    for code in codes:
        # Surrogates are no characters, so they are no gap.
        if out and (out[-1][1] == code - 1 or (out[-1][1], code) == (0xD7FF, 0xE000)):
            out[-1][1] = code
        else:
            out.append([code, code])
    return out


def characters():
    return (code for code in range(MAX_CODE) if not 0xD800 <= code < 0xE000)


def sets():
    sets = {}
    for pattern in (r"\d", r"\w", r"\s", ".", r"(?i)\d", r"(?i)\w", r"(?i)[\w]", r"(?i)[\s]"):
        compiled = re.compile(pattern)
        sets[pattern] = ranges(code for code in characters() if compiled.fullmatch(chr(code)))
    return sets


def folds():
    """The groups of letters, by `re` itself: which of the other letters does each letter match?"""
    everything = "".join(map(chr, characters()))
    groups = set()
    for c in everything:
        if not (c.isalpha() or c.lower() != c or c.upper() != c):
            continue
        groups.add("".join(re.findall("(?i)" + c, everything)) if c.lower() != c or c.upper() != c else c)
    groups = sorted(group for group in groups if len(group) > 1)
    members = "".join(groups)
    assert len(set(members)) == len(members), "the groups overlap"
    return groups


def main():
    if unicodedata.unidata_version != "14.0.0":
        sys.exit(f"needs Unicode 14.0.0 (Python 3.11), this is {unicodedata.unidata_version}")
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, too_slow)
    rows = [answer(pattern, MODELS + list(ODD) + [pattern], "written") for pattern in dict.fromkeys(WRITTEN)]
    rows += [from_grammar() for _ in range(2500)]
    rows += [from_noise() for _ in range(1500)]
    with (HERE / "python-re.jsonl").open("w") as out:
        for row in {row["pattern"]: row for row in rows if row}.values():
            out.write(json.dumps(row, ensure_ascii=True) + "\n")
    with (HERE / "python-sets.json").open("w") as out:
        json.dump({"unicode": unicodedata.unidata_version, "sets": sets(), "folds": folds()}, out, ensure_ascii=True, separators=(",", ":"))
        out.write("\n")


main()
