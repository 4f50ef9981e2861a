//! The form that takes a token.

use maud::html;

use super::Section;
use super::frame::Frame;

/// Why signing in did not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInTrouble {
    /// The token is none of this server's.
    Refused,
    /// Too many wrong tokens came from there.
    TooMany,
}

/// The form; `next` is the page that is shown after it.
pub fn sign_in_page(next: &str, trouble: Option<SignInTrouble>) -> String {
    let frame = Frame {
        navigation: false,
        ..Frame::new("Sign in", Section::Other)
    };
    frame.wrap_page(html! {
        section.card.sign-in {
            h1 { "Sign in" }
            p.muted {
                "This daemon asks for a token. It is one of those that proxies use; whoever runs \
                 the daemon has it."
            }
            @if let Some(trouble) = trouble {
                p.bad #trouble role="alert" {
                    @match trouble {
                        SignInTrouble::Refused => "This server does not accept that token.",
                        SignInTrouble::TooMany => "Too many wrong tokens. Wait a minute, then try \
                            again.",
                    }
                }
            }
            form method="post" action="/ui/sign-in" {
                input type="hidden" name="next" value=(next);
                label for="token" { "Token" }
                input #token type="password" name="token" required autofocus autocomplete="current-password"
                    spellcheck="false" aria-describedby=[trouble.map(|_| "trouble")];
                button type="submit" { "Sign in" }
            }
        }
    })
}
