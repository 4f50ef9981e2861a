//! The text of a commit object, read leniently.
//!
//! libgit2 refuses a commit whose author line is malformed, git only shows less of it. History
//! cannot be mended, so one such line must not make everything after it unreadable.

use super::{Commit, CommitId, Person, Time, TreeId};

/// Reads the object's content; `None` where it names no tree, which git cannot read either.
pub(super) fn parse_commit(id: CommitId, data: &[u8]) -> Option<Commit> {
    let (header, message) = split_header(data);
    let mut tree: Option<TreeId> = None;
    let (mut parents, mut author, mut committer) = (Vec::new(), None, None);
    for line in header.split(|byte| *byte == b'\n') {
        let Some((key, value)) = split_once(line, b' ') else {
            continue;
        };
        let text = String::from_utf8_lossy(value);
        match key {
            b"tree" if tree.is_none() => tree = Some(text.parse().ok()?),
            b"parent" if author.is_none() => parents.push(text.parse().ok()?),
            b"author" if author.is_none() => author = Some(parse_person(&text)),
            b"committer" if committer.is_none() => committer = Some(parse_person(&text)),
            _ => {}
        }
    }
    // Each stands in for the other, so that a commit without one of them still has a time.
    let author = author
        .or_else(|| committer.clone())
        .unwrap_or_else(unknown_person);
    let committer = committer.unwrap_or_else(|| author.clone());
    let message = String::from_utf8_lossy(message).into_owned();
    Some(Commit {
        id,
        tree: tree?,
        parents,
        author,
        committer,
        message,
    })
}

/// The header lines and what follows the empty line after them.
fn split_header(data: &[u8]) -> (&[u8], &[u8]) {
    let end = data
        .windows(2)
        .position(|pair| pair == b"\n\n")
        .unwrap_or(data.len());
    let header = data.get(..end).unwrap_or(data);
    (header, data.get(end + 2..).unwrap_or_default())
}

fn split_once(line: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let end = line.iter().position(|byte| *byte == at)?;
    Some((line.get(..end)?, line.get(end + 1..)?))
}

/// `NAME <ADDRESS> SECONDS ZONE`, as much of it as is there.
fn parse_person(text: &str) -> Person {
    let (who, rest) = match text.rsplit_once('>') {
        Some((who, rest)) => (who, rest),
        None => split_time(text),
    };
    let (name, email) = who.split_once('<').unwrap_or((who, ""));
    let mut words = rest.split_ascii_whitespace();
    let seconds = words.next().map_or(0, parse_seconds);
    let offset_minutes = words.next().map_or(0, parse_zone);
    Person {
        name: name.trim().to_owned(),
        email: email.trim().to_owned(),
        time: Time {
            seconds,
            offset_minutes,
        },
    }
}

/// Without an address: the last two words are the time if they look like one.
fn split_time(text: &str) -> (&str, &str) {
    let start = text
        .trim_end()
        .rmatch_indices(' ')
        .nth(1)
        .map_or(0, |(at, _)| at);
    let (who, time) = text.split_at_checked(start).unwrap_or((text, ""));
    let is_time = time
        .split_ascii_whitespace()
        .all(|word| word.parse::<i64>().is_ok());
    if is_time { (who, time) } else { (text, "") }
}

/// A number too large for any clock is the latest time, one that is none is 1970.
fn parse_seconds(word: &str) -> i64 {
    let digits = word.strip_prefix('-').unwrap_or(word);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match word.parse() {
        Ok(seconds) => seconds,
        Err(_) if is_number && word.starts_with('-') => i64::MIN,
        Err(_) if is_number => i64::MAX,
        Err(_) => 0,
    }
}

/// `+0130` is 90 minutes; a zone that no clock has is UTC.
fn parse_zone(word: &str) -> i32 {
    let Ok(zone) = word.parse::<i32>() else {
        return 0;
    };
    let minutes = zone / 100 * 60 + zone % 100;
    if minutes.abs() < 24 * 60 { minutes } else { 0 }
}

fn unknown_person() -> Person {
    let time = Time {
        seconds: 0,
        offset_minutes: 0,
    };
    Person {
        name: "unknown".to_owned(),
        email: String::new(),
        time,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

    fn read(header: &str) -> Option<Commit> {
        let id = "0123456789012345678901234567890123456789".parse().unwrap();
        parse_commit(id, format!("{header}\n\nsubject\n").as_bytes())
    }

    fn person(line: &str) -> (String, String, i64, i32) {
        let Person { name, email, time } = parse_person(line);
        (name, email, time.seconds, time.offset_minutes)
    }

    #[test]
    fn a_plain_line_is_read_whole() {
        let due = ("Ada L".into(), "ada@example.org".into(), 1_700_000_000, 90);
        assert_eq!(person("Ada L <ada@example.org> 1700000000 +0130"), due);
        assert_eq!(person("A <a@b> 5 -0800").3, -480);
    }

    #[test]
    fn of_an_odd_line_what_is_there_is_read() {
        assert_eq!(
            person("builder 1200000000 +0000"),
            ("builder".into(), "".into(), 1_200_000_000, 0)
        );
        assert_eq!(person("builder"), ("builder".into(), "".into(), 0, 0));
        assert_eq!(person(""), ("".into(), "".into(), 0, 0));
        assert_eq!(person("A <a@b>"), ("A".into(), "a@b".into(), 0, 0));
        assert_eq!(person("A <<a@b>> 7 +0000").2, 7);
        assert_eq!(person("A <a@b> 99999999999999999999 +0000").2, i64::MAX);
        assert_eq!(person("A <a@b> x +9999"), ("A".into(), "a@b".into(), 0, 0));
    }

    #[test]
    fn a_missing_author_or_committer_is_the_other_one() {
        let only = read(&format!("tree {TREE}\ncommitter C <c@d> 9 +0000")).unwrap();
        assert_eq!(
            (only.author.name.as_str(), only.committer.time.seconds),
            ("C", 9)
        );
        assert_eq!(
            read(&format!("tree {TREE}")).unwrap().author.name,
            "unknown"
        );
        assert_eq!(read("parent x"), None);
        assert_eq!(only.message, "subject\n");
    }

    #[test]
    fn an_absurd_time_is_shown_and_panics_nobody() {
        for (seconds, offset_minutes) in [(i64::MAX, 0), (i64::MIN, 1439), (0, i32::MIN)] {
            assert!(
                !Time {
                    seconds,
                    offset_minutes
                }
                .to_string()
                .is_empty()
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(data in proptest::collection::vec(0_u8..255, 0..200)) {
            let id = "0123456789012345678901234567890123456789".parse().unwrap();
            let _ = parse_commit(id, &data);
            let _ = parse_commit(id, &[format!("tree {TREE}\n").as_bytes(), &data].concat());
        }
    }
}
