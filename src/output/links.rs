//! Places as links into a forge, by a template such as
//! `https://forge.example/repo/blob/{commit}/{path}#L{line}`.

use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::escape::markdown_code;
use super::from_the_top;

/// What a path keeps as it is.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// How a place becomes an address: `{commit}`, `{path}` and `{line}` are filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkTemplate(String);

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    /// It names no file.
    #[error(
        "a template names the file by {{path}}, as in \
         https://forge.example/repo/blob/{{commit}}/{{path}}#L{{line}}"
    )]
    NoPath,
    /// It is no address of a page.
    #[error("a template is an address that begins with http:// or https://")]
    NotWeb,
    /// It would end the link that it is in.
    #[error("a template holds no spaces, quotes, brackets or control characters")]
    Markup,
}

impl FromStr for LinkTemplate {
    type Err = BadTemplate;

    fn from_str(text: &str) -> Result<Self, BadTemplate> {
        let bare = text
            .replace("{commit}", "")
            .replace("{path}", "")
            .replace("{line}", "");
        if !text.contains("{path}") {
            return Err(BadTemplate::NoPath);
        }
        if !(text.starts_with("https://") || text.starts_with("http://")) {
            return Err(BadTemplate::NotWeb);
        }
        let is_markup =
            |c: char| c.is_whitespace() || c.is_control() || "<>()[]{}\"'`\\|".contains(c);
        if bare.contains(is_markup) {
            return Err(BadTemplate::Markup);
        }
        Ok(Self(text.to_owned()))
    }
}

impl LinkTemplate {
    /// The address of a line; `path` is from the top of the repository.
    pub fn address(&self, commit: &str, path: &str, line: u32) -> String {
        let path = utf8_percent_encode(path, PATH).to_string();
        let text = self
            .0
            .replace("{commit}", commit)
            .replace("{line}", &line.to_string());
        text.replace("{path}", &path)
    }
}

/// How places are written in markdown: as code, and as a link where there is a template and a
/// commit.
#[derive(Debug, Clone, Default)]
pub struct PlaceLinks {
    /// The template.
    pub template: Option<LinkTemplate>,
    /// The commit before.
    pub before: Option<String>,
    /// The commit after; `None` of a work tree or index.
    pub after: Option<String>,
    /// The folder of the policies within the repository.
    pub prefix: String,
}

impl PlaceLinks {
    /// A place in the set after.
    pub(super) fn after(&self, file: &str, line: u32) -> String {
        self.place(self.after.as_deref(), file, line)
    }

    /// A place in the set before.
    pub(super) fn before(&self, file: &str, line: u32) -> String {
        self.place(self.before.as_deref(), file, line)
    }

    fn place(&self, commit: Option<&str>, file: &str, line: u32) -> String {
        let shown = markdown_code(&format!("{file}:{line}"));
        match (&self.template, commit) {
            (Some(template), Some(commit)) => {
                let path = from_the_top(&self.prefix, file);
                format!("[{shown}](<{}>)", template.address(commit, &path, line))
            }
            _ => shown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_an_address_with_a_path_and_nothing_that_ends_a_link() {
        let parse = |text: &str| text.parse::<LinkTemplate>();
        assert_eq!(parse("https://f/{commit}"), Err(BadTemplate::NoPath));
        assert_eq!(parse("javascript:{path}"), Err(BadTemplate::NotWeb));
        assert_eq!(parse("https://f/{path})[x]("), Err(BadTemplate::Markup));
        let template = parse("https://f/r/blob/{commit}/{path}#L{line}").unwrap();
        assert_eq!(
            template.address("abc", "a b/ü>).yaml", 7),
            "https://f/r/blob/abc/a%20b/%C3%BC%3E%29.yaml#L7"
        );
    }
}
