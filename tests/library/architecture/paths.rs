//! The paths that a Rust file names, found by reading its tokens; comments, literals and test code
//! left out.

use std::path::{Path, PathBuf};

/// The files of modules that are declared as `#[cfg(test)] mod name;`.
pub(super) fn test_modules(sources: &[(PathBuf, String)]) -> Vec<PathBuf> {
    let mut modules = Vec::new();
    for (path, text) in sources {
        let dir = match path.file_name().and_then(|name| name.to_str()) {
            Some("mod.rs" | "lib.rs" | "main.rs") => path.parent().unwrap().to_owned(),
            _ => path.with_extension(""),
        };
        let tokens = tokens(text);
        for (i, _) in tokens
            .iter()
            .enumerate()
            .filter(|(i, _)| is_cfg_test(&tokens, *i))
        {
            let mut rest = tokens[i + 7..]
                .iter()
                .map(|t| t.text)
                .skip_while(|t| matches!(*t, "pub" | "(" | ")" | "crate" | "super"));
            if let (Some("mod"), Some(name), Some(";")) = (rest.next(), rest.next(), rest.next()) {
                modules.push(dir.join(name).with_extension("rs"));
            }
        }
    }
    modules
}

struct Token<'a> {
    text: &'a str,
    line: usize,
}

/// Every path that a file names, groups written out, `super` resolved where it leads to the crate's
/// root.
pub(super) fn paths(file: &Path, text: &str) -> Vec<(String, usize)> {
    let tokens = tokens(text);
    let tokens = without_tests(&tokens);
    let is_mod = file.file_name().is_some_and(|name| name == "mod.rs");
    let mut depth = file.iter().count() - usize::from(is_mod);
    // The depth of inline modules: `{` that close one, among all that are open.
    let mut open: Vec<bool> = Vec::new();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let before = at.checked_sub(1).map_or("", |i| tokens[i].text);
        let is_path = is_word(token.text)
            && before != "."
            && (before != "::"
                || !at
                    .checked_sub(2)
                    .is_some_and(|i| is_word(tokens[i].text) || tokens[i].text == ">"))
            && (before == "use" || tokens.get(at + 1).is_some_and(|next| next.text == "::"));
        if is_path {
            let start = found.len();
            at = path_tree(&tokens, at, String::new(), &mut found);
            for (path, _) in &mut found[start..] {
                *path = from_root(path, depth);
            }
            continue;
        }
        match token.text {
            "{" => {
                let is_module = at >= 2 && tokens[at - 2].text == "mod";
                depth += usize::from(is_module);
                open.push(is_module);
            }
            "}" => depth -= usize::from(open.pop().unwrap_or(false)),
            _ => {}
        }
        at += 1;
    }
    found
}

/// Reads one path or use tree; returns where it ends.
fn path_tree(
    tokens: &[&Token<'_>],
    mut at: usize,
    prefix: String,
    found: &mut Vec<(String, usize)>,
) -> usize {
    let mut path = prefix;
    while let Some(token) = tokens.get(at) {
        if token.text == "{" {
            at += 1;
            while tokens.get(at).is_some_and(|t| t.text != "}") {
                at = path_tree(tokens, at, path.clone(), found);
                // `as name`, and the comma.
                while tokens
                    .get(at)
                    .is_some_and(|t| t.text != "}" && t.text != ",")
                {
                    at += 1;
                }
                at += usize::from(tokens.get(at).is_some_and(|t| t.text == ","));
            }
            return at + 1;
        }
        let word = is_word(token.text) || token.text == "*";
        if !word {
            return at + 1;
        }
        path = if path.is_empty() {
            token.text.to_owned()
        } else {
            format!("{path}::{}", token.text)
        };
        at += 1;
        if tokens.get(at).is_none_or(|t| t.text != "::") {
            found.push((path, token.line));
            return at;
        }
        at += 1;
    }
    at
}

/// `super::super::x` in a file at that depth, as `crate::x` where it leads there.
fn from_root(path: &str, depth: usize) -> String {
    let ups = path
        .split("::")
        .take_while(|segment| *segment == "super")
        .count();
    if ups > 0 && ups >= depth {
        let rest: Vec<&str> = path.split("::").skip(ups).collect();
        return format!("crate::{}", rest.join("::"));
    }
    path.to_owned()
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && !matches!(text, "use" | "pub" | "as" | "mod" | "return")
}

/// `# [ cfg ( test ) ]`
fn is_cfg_test(tokens: &[Token<'_>], at: usize) -> bool {
    let expected = ["#", "[", "cfg", "(", "test", ")", "]"];
    tokens.len() >= at + expected.len()
        && tokens[at..]
            .iter()
            .zip(expected)
            .all(|(token, text)| token.text == text)
}

/// Leaves out each item after `#[cfg(test)]`: to its `;`, or over its braces.
fn without_tests<'t, 'a>(tokens: &'t [Token<'a>]) -> Vec<&'t Token<'a>> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if !is_cfg_test(tokens, at) {
            kept.push(&tokens[at]);
            at += 1;
            continue;
        }
        let mut depth = 0;
        while let Some(token) = tokens.get(at) {
            at += 1;
            match token.text {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            if depth == 0 && matches!(token.text, ";" | "}") {
                break;
            }
        }
    }
    kept
}

/// Words, `::` and single marks; comments and literals are left out.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = literal(rest) {
            length
        } else if c.is_alphanumeric() || c == '_' {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            c.len_utf8()
        };
        let piece = &rest[..length];
        let is_token = !c.is_whitespace() && !piece.starts_with("//") && !piece.starts_with("/*");
        if is_token && literal(rest).is_none() {
            tokens.push(Token { text: piece, line });
        }
        line += piece.matches('\n').count();
        at += length;
    }
    tokens
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of a string, raw string or character literal that the text begins with.
fn literal(text: &str) -> Option<usize> {
    let body = text.trim_start_matches(['b', 'c']);
    let mark = text.len() - body.len();
    if mark > 1 {
        return None;
    }
    if let Some(raw) = body.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let start = hashes + 1;
            return Some(mark + 1 + start + raw[start..].find(&close)? + close.len());
        }
        return None;
    }
    let quote = body.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    // A lifetime is no literal: `'a` without a closing quote right after.
    if quote == '\'' && !body[1..].starts_with('\\') && body.chars().nth(2) != Some('\'') {
        return None;
    }
    let mut escaped = false;
    for (i, c) in body.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(mark + i + 1),
            _ => {}
        }
    }
    None
}
