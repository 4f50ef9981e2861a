//! Tables of what is accepted and refused, and properties of any text. What Python says is in
//! `python`.

mod python;

use super::*;
use proptest::prelude::*;

fn pattern(text: &str) -> ModelPattern {
    ModelPattern::parse(text).unwrap_or_else(|fault| panic!("{text}: {fault:?}"))
}

fn fault(text: &str) -> ConditionFault {
    ModelPattern::parse(text)
        .err()
        .unwrap_or_else(|| panic!("{text} is accepted"))
}

#[test]
fn accepts_each_construct() {
    for (text, yes, no) in [
        ("gpt-4", "gpt-4", "gpt-4o"),
        ("gpt-4.*", "gpt-4o", "xgpt-4"),
        (r"gpt-4\.1", "gpt-4.1", "gpt-4x1"),
        (r"a\ \#\&\~\%\_\/\:\@\-\]\}", "a #&~%_/:@-]}", "a"),
        ("a]}b", "a]}b", "ab"),
        ("[a-c_]", "b", "d"),
        ("[^a-c]", "d", "b"),
        (r"[\]\[\^\-]+", "[]^-", "x"),
        ("[a-]+", "a-", "b"),
        ("[a-c-e]+", "b-e", "d"),
        (r"[\d.]+", "3.5", "x"),
        (r"[\w-]+", "gpt-4", "gpt 4"),
        (r"\d\w\s", "1a\u{1c}", "1a-"),
        ("(a|b)c", "bc", "c"),
        ("(?:a|)c", "c", "bc"),
        ("a*b+c?", "bc", "a"),
        ("a{2}b{1,}c{0,2}", "aabcc", "abc"),
        ("a*?b+?c??d{1,2}?", "bd", "a"),
        ("(?i)gpt", "GpT", "gp"),
        ("^a|b$", "a", "ab"),
        ("(?i)^a$", "A", "a\n"),
        ("", "", "a"),
        ("^$", "", "a"),
        ("a.b", "axb", "a\nb"),
        ("o1+", "o1+", "o1-"),
        ("o1+", "o111", "o"),
    ] {
        let pattern = pattern(text);
        assert!(pattern.matches(yes), "{text} holds for {yes:?}");
        assert!(!pattern.matches(no), "{text} does not hold for {no:?}");
        assert!(pattern.matches(text), "{text} holds for itself");
    }
}

/// Pattern, the text of it that is at fault, and what the message must say.
const REFUSED: &[(&str, &str, &str)] = &[
    ("a(?=b)", "(?=", "look-ahead"),
    ("a(?!b)", "(?!", "negative look-ahead"),
    ("(?<=a)b", "(?<=", "look-behind"),
    ("(?<!a)b", "(?<!", "negative look-behind"),
    ("(?>a)b", "(?>", "atomic group"),
    ("a(?#no)", "(?#", "comment"),
    ("(a)(?(1)b)", "(?(", "conditional"),
    ("(?P<n>a)", "(?P<", "named group"),
    ("(?<n>a)", "(?<", "named group"),
    ("(?P=n)", "(?P=", "named back-reference"),
    ("(?|a)", "(?|", "branch reset"),
    ("(?x)a", "(?x)", "flag `(?x)`"),
    ("(?a)a", "(?a)", "flag `(?a)`"),
    ("a(?i)", "(?i)", "`(?i)` after the start"),
    ("(?i)(?i)a", "(?i)", "`(?i)` after the start"),
    ("(?i:a)", "(?i:", "scoped flag `(?i:`"),
    ("(?-i:a)", "(?-i:", "scoped flag `(?-i:`"),
    ("(?", "(?", "unknown kind of group"),
    ("(?&n)", "(?", "unknown kind of group"),
    (r"a\b", r"\b", "word boundary"),
    (r"\<a", r"\<", "word boundary"),
    (r"a\>", r"\>", "word boundary"),
    (r"\Aa", r"\A", "anchor"),
    (r"a\Z", r"\Z", "anchor"),
    (r"a\z", r"\z", "anchor"),
    (r"\D", r"\D", "negated set"),
    (r"[\S]", r"\S", "negated set"),
    (r"(a)\1", r"\1", "back-reference"),
    (r"\0", r"\0", "octal"),
    (r"\x41", r"\x", "character code"),
    (r"\u0041", r"\u", "character code"),
    (r"\N{BEL}", r"\N", "character code"),
    (r"\p{L}", r"\p", "Unicode property"),
    (r"\n", r"\n", "control character"),
    (r"\y", r"\y", "escape `\\y`"),
    (r"\é", r"\é", "escape `\\é`"),
    ("a\\", "\\", "escapes nothing"),
    (r"[\b]", r"\b", "backspace"),
    ("a**", "**", "stacked quantifier `**`"),
    ("ab{2}{3}c", "{2}{3}", "stacked quantifier `{2}{3}`"),
    ("a+??", "+??", "stacked quantifier"),
    ("a*+", "*+", "possessive quantifier `*+`"),
    ("a{2}+", "{2}+", "possessive quantifier `{2}+`"),
    ("a{,3}", "{,3}", "without a lower bound"),
    ("a{x}", "{", "`{` that opens no repeat"),
    ("{", "{", "`{` that opens no repeat"),
    ("a*{", "{", "`{` that opens no repeat"),
    ("a{3,2}", "{3,2}", "lower bound is above"),
    ("a{1001}", "{1001}", "`regex-repeat` is 1000"),
    (
        "a{1,99999999999999999999}",
        "{1,99999999999999999999}",
        "`regex-repeat` is 1000",
    ),
    ("*", "*", "`*` has nothing to repeat"),
    ("a|+", "+", "`+` has nothing to repeat"),
    ("(?)", "(?", "unknown kind of group"),
    ("^*", "*", "`*` has nothing to repeat"),
    ("{2}", "{2}", "`{2}` has nothing to repeat"),
    ("a^", "^", "`^` elsewhere"),
    ("(^a)", "^", "`^` elsewhere"),
    ("a|^b", "^", "`^` elsewhere"),
    ("a$b", "$", "`$` elsewhere"),
    ("(a$)", "$", "`$` elsewhere"),
    ("a$*", "$", "`$` elsewhere"),
    ("[]a]", "]", "`]` that comes first"),
    ("[^]a]", "]", "`]` that comes first"),
    ("[[a]", "[", "`[` inside a set"),
    ("[a[b]]", "[", "`[` inside a set"),
    ("[a-[]", "[", "`[` inside a set"),
    ("[[:alpha:]]", "[", "POSIX name"),
    ("[a&&b]", "&&", "set operator `&&`"),
    ("[a--b]", "--", "set operator `--`"),
    ("[a~~b]", "~~", "set operator `~~`"),
    ("[a||b]", "||", "set operator `||`"),
    ("[!-&&b]", "&&", "set operator `&&`"),
    ("[z-a]", "z-a", "runs backwards"),
    (r"[\d-z]", r"\d-z", "a set for an end"),
    (r"[a-\d]", r"a-\d", "a set for an end"),
    ("[abc", "[", "set is not closed"),
    ("x[a-", "[", "set is not closed"),
    ("[", "[", "set is not closed"),
    ("(a", "(", "group is not closed"),
    ("(?:a", "(?:", "group is not closed"),
    ("a)", ")", "`)` closes no group"),
    ("a)|(?:b", ")", "`)` closes no group"),
    ("(?i)[A-🀀]", "🀀", "beyond U+FFFF"),
    ("(?i)[𐐀]", "𐐀", "beyond U+FFFF"),
];

#[test]
fn refuses_each_construct_by_name_and_place() {
    for &(text, place, message) in REFUSED {
        let fault = fault(text);
        assert!(fault.message.contains(message), "{text}: {}", fault.message);
        assert_eq!(
            text.get(fault.range.clone()),
            Some(place),
            "{text}: {fault:?}"
        );
        assert!(
            fault.help.is_some_and(|help| !help.is_empty()),
            "{text}: no help"
        );
    }
}

#[test]
fn limits_are_told_from_grammar() {
    for (text, name) in [
        (r"(?:\w{1,100}){1,100}".to_owned(), "regex-size"),
        ("(((a{1000}){1000}){1000})".to_owned(), "regex-size"),
        (format!("{}.*", "a".repeat(REGEX_LENGTH)), "regex-length"),
        ("(".repeat(10_000), "regex-depth"),
        ("a{5000}".to_owned(), "regex-repeat"),
    ] {
        let fault = fault(&text);
        assert!(fault.limit && fault.message.contains(name), "{fault:?}");
    }

    assert!(!fault("a**").limit);
    assert!(pattern(&format!("{}a{}", "(".repeat(64), ")".repeat(64))).matches("a"));
    assert!(
        pattern(&"a".repeat(REGEX_LENGTH + 1)).is_literal(),
        "a name may be long"
    );
}

#[test]
fn a_pattern_without_an_expression_compiles_none() {
    assert!(pattern("gpt-4").is_literal());
    assert!(pattern("a]").is_literal());
    assert!(pattern("").is_literal());
    for text in [r"gpt-4\.1", "^gpt-4$", "gpt-4.*", "(?i)gpt-4"] {
        assert!(!pattern(text).is_literal(), "{text}");
    }

    assert_eq!(pattern(r"gpt-4\.1").compiled_size(), "gpt-4.1".len());
    assert!(pattern("gpt-4.*").compiled_size() > 100);
}

#[test]
fn an_expression_is_compiled_at_its_first_question_and_refused_at_once() {
    let lazy = pattern("gpt-4[.-]o?.*");
    let Matcher::Regex(compiled) = &lazy.matcher else {
        panic!("{lazy:?}");
    };
    assert!(compiled.engine.get().is_none());
    let size = lazy.compiled_size();
    assert!(lazy.matches("gpt-4-o1") && !lazy.matches("gpt-4"));
    let engine = compiled.engine.get().unwrap().as_ref().unwrap();
    // The limit of all expressions together counts about what they take.
    let taken = engine.memory_usage();
    assert!(size < 2 * taken && taken < 3 * size, "{size} and {taken}");

    for text in ["gpt-4(?!o)", "(a", "a{2,1}", "[z-a]"] {
        assert!(ModelPattern::parse(text).is_err(), "{text}");
    }
}

#[test]
fn tells_globs() {
    for text in ["gpt-4*", "claude-*", "bedrock/*", "(?i)gpt*", "a|b*"] {
        assert!(pattern(text).looks_like_glob(), "{text}");
    }

    for text in [
        "gpt-4.*",
        "gpt-4",
        "(a|b)*",
        "[a-z]*",
        r"\d*",
        r"a\*",
        r"gpt-4\.*",
        "a*b",
        "gpt-4+",
        "",
        r"a\\*",
    ] {
        assert!(!pattern(text).looks_like_glob(), "{text}");
    }
}

#[test]
fn equal_by_text() {
    assert_eq!(pattern("a.*"), pattern("a.*"));
    assert_ne!(pattern(r"a\.b"), pattern("a.b"));
    assert_eq!(format!("{:?}", pattern("a.*")), r#"ModelPattern("a.*")"#);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*", model in "\\PC*") {
        read(&text, &model);
    }

    #[test]
    fn any_mixture_of_metacharacters_is_read_or_refused(
        text in r"(\(\?i\))?([ab1é\-^$|()\[\].*+?{},:&~\\]|\(\?:|\\[dwsb.]|\{1,2\}|\[\^){0,12}",
        model in "[ab1é]{0,4}",
    ) {
        read(&text, &model);
    }
}

/// A pattern holds for its own text, and a fault points into it.
fn read(text: &str, model: &str) {
    match ModelPattern::parse(text) {
        Ok(pattern) => {
            assert!(pattern.matches(text), "{text:?} does not hold for itself");
            let _ = (
                pattern.matches(model),
                pattern.language(),
                pattern.looks_like_glob(),
            );
        }
        Err(fault) => {
            assert!(
                text.get(fault.range.clone())
                    .is_some_and(|place| !place.is_empty()),
                "{text:?}: {fault:?}"
            );
            assert!(!fault.message.is_empty());
        }
    }
}
