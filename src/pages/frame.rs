//! What every page has: head, navigation, the sets, the bar that says when something newer is in
//! force.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::parts::{
    commit_mark, isolated_name, place_mark, query_of, sentence_markup, visible_text,
};
use crate::output::LinkTemplate;

/// The pages that the navigation names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// What is in force.
    Now,
    /// What a request gets, and why.
    Ask,
    /// What each name gets.
    Matrix,
    /// The policies.
    Policies,
    /// What happened.
    History,
    /// What comes next.
    Change,
    /// What another revision would say; only where the daemon asks one.
    Shadow,
    /// None of them: signing in, errors.
    Other,
}

impl Section {
    const ALL: [Self; 7] = [
        Self::Now,
        Self::Ask,
        Self::Matrix,
        Self::Policies,
        Self::History,
        Self::Change,
        Self::Shadow,
    ];

    fn title(self) -> &'static str {
        match self {
            Self::Now => "Now",
            Self::Ask => "Ask",
            Self::Matrix => "Matrix",
            Self::Policies => "Policies",
            Self::History => "History",
            Self::Change => "Change",
            Self::Shadow => "Shadow",
            Self::Other => "",
        }
    }

    /// Its address.
    pub fn path(self) -> &'static str {
        match self {
            Self::Now | Self::Other => "/ui/",
            Self::Ask => "/ui/ask",
            Self::Matrix => "/ui/matrix",
            Self::Policies => "/ui/policies",
            Self::History => "/ui/history",
            Self::Change => "/ui/change",
            Self::Shadow => "/ui/shadow",
        }
    }
}

/// The same page of another set.
#[derive(Debug, Clone)]
pub struct SetLink {
    /// The set.
    pub name: String,
    /// Its page.
    pub address: String,
}

/// That a page shows what is no longer in force.
#[derive(Debug, Clone)]
pub struct Moved {
    /// The promotion that is in force now.
    pub promotion: Option<u64>,
    /// Its commit.
    pub commit: String,
    /// The same page of now.
    pub address: String,
}

/// How places become links into a forge.
#[derive(Debug, Clone)]
pub struct ForgeLinks {
    /// The address.
    pub template: LinkTemplate,
    /// The folder of the policies within their repository, empty at the top.
    pub prefix: String,
}

/// What is around a page's own content.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The page's title.
    pub title: String,
    /// Where it stands in the navigation.
    pub section: Section,
    /// The set that it speaks of; `None`: of all, or of none.
    pub set: Option<String>,
    /// The commit that it shows.
    pub commit: Option<String>,
    /// The instant that what expires counts as of; empty where nothing does.
    pub now: String,
    /// Whether something else is shown than what is in force: then the navigation and forms stay
    /// with it.
    pub stays: bool,
    /// The same page of each set; empty where there is nothing to choose.
    pub sets: Vec<SetLink>,
    /// What else is in force now.
    pub moved: Option<Moved>,
    /// How places become links into a forge.
    pub links: Option<ForgeLinks>,
    /// Whether somebody is signed in, who may sign out.
    pub signed_in: bool,
    /// Whether there is anything to go to: not before signing in.
    pub navigation: bool,
    /// Whether the daemon asks another revision beside what is in force.
    pub has_shadow: bool,
    /// Whether something is missing that will be there in a moment: then the browser asks again.
    pub asks_again: bool,
    /// What the page shows, as a word that changes with it; `None`: it does not follow.
    pub live: Option<String>,
}

impl Frame {
    /// A frame with a title, in a section.
    pub fn new(title: impl Into<String>, section: Section) -> Self {
        Self {
            title: title.into(),
            section,
            set: None,
            commit: None,
            now: String::new(),
            stays: false,
            sets: Vec::new(),
            moved: None,
            links: None,
            signed_in: false,
            navigation: true,
            has_shadow: false,
            asks_again: false,
            live: None,
        }
    }

    /// The whole page.
    pub fn wrap_page(&self, content: Markup) -> String {
        let title = visible_text(&self.title);
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    @if self.asks_again { meta http-equiv="refresh" content="3"; }
                    title { (title) " · refguard" }
                    link rel="icon" href="/ui/refguard.svg" type="image/svg+xml";
                    link rel="stylesheet" href="/ui/refguard.css";
                    script src="/ui/refguard.js" defer {}
                }
                body data-live=[self.live.as_deref()] data-set=[self.set.as_deref()]
                    data-commit=[self.commit.as_deref()] {
                    a.skip href="#content" { "Skip to content" }
                    (self.header())
                    @if let Some(moved) = &self.moved { (moved_bar(moved)) }
                    div.bar.notice #newer hidden role="status" {
                        "Something newer is in force. " a href="" { "Show it" }
                    }
                    main #content tabindex="-1" { (content) }
                    (page_footer())
                }
            }
        };
        page.into_string()
    }

    /// A place in the set that the page shows; a link where there is a forge.
    pub(super) fn place(&self, file: &str, line: u32) -> Markup {
        self.place_in(self.commit.as_deref(), file, line)
    }

    /// A place in a commit.
    pub(super) fn place_in(&self, commit: Option<&str>, file: &str, line: u32) -> Markup {
        let Some((links, commit)) = self.links.as_ref().zip(commit) else {
            return place_mark(file, line);
        };
        let path = match links.prefix.as_str() {
            "" => file.to_owned(),
            prefix => format!("{prefix}/{file}"),
        };
        let address = links.template.address(commit, &path, line);
        html! { a href=(address) rel="noreferrer" { (place_mark(file, line)) } }
    }

    /// The address of a page that belongs to what this one shows: its set, commit and instant.
    pub(super) fn address(&self, path: &str, query: &[(&str, &str)]) -> String {
        self.address_of(path, self.shown(), query)
    }

    /// The address of another page of the same set, which follows what is in force where this one
    /// does.
    fn address_of_section(&self, section: Section) -> String {
        let shown = if self.stays { self.shown() } else { ("", "") };
        self.address_of(section.path(), shown, &[])
    }

    fn address_of(&self, path: &str, (at, now): (&str, &str), query: &[(&str, &str)]) -> String {
        let pairs = [
            ("set", self.set.as_deref().unwrap_or_default()),
            ("at", at),
            ("now", now),
        ];
        format!("{path}{}", query_of(&[&pairs, query].concat()))
    }

    fn shown(&self) -> (&str, &str) {
        (self.commit.as_deref().unwrap_or_default(), &self.now)
    }

    /// What a form has so that its answer is of the set that is shown.
    pub(super) fn hidden_fields(&self) -> Markup {
        let (at, now) = if self.stays { self.shown() } else { ("", "") };
        html! {
            @if let Some(set) = &self.set { input type="hidden" name="set" value=(set); }
            @if !at.is_empty() { input type="hidden" name="at" value=(at); }
            @if !now.is_empty() { input type="hidden" name="now" value=(now); }
        }
    }

    /// The sections that the navigation offers.
    fn sections(&self) -> impl Iterator<Item = Section> {
        let has_shadow = self.has_shadow;
        Section::ALL
            .into_iter()
            .filter(move |section| has_shadow || *section != Section::Shadow)
    }

    fn header(&self) -> Markup {
        html! {
            header.top {
                a.brand href="/ui/" { (page_logo()) span { "refguard" } }
                @if self.navigation {
                    nav.sections aria-label="Pages" {
                        @for section in self.sections() {
                            a href=(self.address_of_section(section))
                                aria-current=[(section == self.section).then_some("page")] {
                                (section.title())
                            }
                        }
                    }
                }
                @if self.signed_in {
                    form.sign-out method="post" action="/ui/sign-out" {
                        button.quiet type="submit" { "Sign out" }
                    }
                }
            }
            @if self.sets.len() > 1 {
                nav.sets aria-label="Environments" {
                    @for set in &self.sets {
                        a href=(set.address)
                            aria-current=[(Some(&set.name) == self.set.as_ref()).then_some("true")] {
                            (isolated_name(&set.name))
                        }
                    }
                }
            }
        }
    }
}

fn moved_bar(moved: &Moved) -> Markup {
    html! {
        div.bar.notice role="status" {
            "You are looking at the past. In force now: "
            @if let Some(number) = moved.promotion { "promotion " (number) ", " }
            (commit_mark(&moved.commit)) ". "
            a href=(moved.address) { "Show what is in force" }
        }
    }
}

fn page_footer() -> Markup {
    html! {
        footer {
            "refguard " (env!("CARGO_PKG_VERSION")) " · read-only: changes are made in git"
        }
    }
}

/// The mark of refguard, in the colour of what is around it.
fn page_logo() -> Markup {
    PreEscaped(
        "<svg viewBox=\"0 0 32 32\" width=\"24\" height=\"24\" aria-hidden=\"true\" \
         focusable=\"false\">\
         <path d=\"M16 2 4 6.5v8.6C4 22.3 9 28 16 30c7-2 12-7.7 12-14.9V6.5L16 2Z\" \
         fill=\"currentColor\"/>\
         <circle cx=\"11\" cy=\"11\" r=\"2.6\" class=\"cut\"/><circle cx=\"11\" cy=\"21\" \
         r=\"2.6\" class=\"cut\"/>\
         <circle cx=\"21\" cy=\"14\" r=\"2.6\" class=\"cut\"/>\
         <path d=\"M11 12v8M21 15c0 4-6 3-9 5\" class=\"line\"/></svg>"
            .to_owned(),
    )
}

/// A page for what cannot be shown: what is wrong, and a way on. `is_busy`: nothing is, but that
/// others ask too.
pub fn error_page(frame: &Frame, status: u16, detail: &str, is_busy: bool) -> String {
    let (title, advice) = match status {
        400 => ("This cannot be asked", "Go back and change what you typed."),
        404 => (
            "There is nothing here",
            "It may be gone, or was never there.",
        ),
        403 => ("Not from here", "This request came from another site."),
        409 => ("This has changed", "Begin again from the first page."),
        413 | 422 => ("This is too much", "Ask for less at once."),
        429 => ("Too many attempts", "Wait a minute, then try again."),
        503 if is_busy => (
            "Busy",
            "Others ask for much at once. Try again in a moment.",
        ),
        503 => (
            "Not ready",
            "Try again in a moment; Now says what the daemon waits for.",
        ),
        _ => ("Something went wrong", "The daemon's log says more."),
    };
    frame.wrap_page(html! {
        section.error {
            p.code { (status) }
            h1 { (title) }
            p { (sentence_markup(detail)) }
            p.muted { (advice) }
            @if frame.navigation { p { a.button href="/ui/" { "Show what is in force now" } } }
        }
    })
}
