//! `/ui/shadow`: what another revision would have said to the requests that were answered.

use axum::response::Response;
use refguard_core::document::Dimension;
use refguard_core::traffic::is_hidden_key;

use super::{Visit, send_page};
use crate::daemon::{ShadowReport, ShadowSample};
use crate::http::problem::Problem;
use crate::pages::{Section, query_of, shadow_page};

pub(super) async fn show_shadow(visit: Visit) -> Result<Response, Problem> {
    let app = visit.app.clone();
    let Some(shadow) = app.options.shadow.clone() else {
        return Err(Problem::not_found(
            "nothing is compared: the daemon was started without `--shadow REF`",
        ));
    };
    let frame = visit.frame("Shadow", Section::Shadow);
    let made = app.page_makers.run_work(move || {
        let (report, trouble) = (shadow.report_counts(), shadow.trouble());
        let ask = |sample: &ShadowSample| ask_address(&report, sample);
        Ok(shadow_page(&frame, &report, trouble.as_deref(), &ask))
    });
    Ok(send_page(made.await?))
}

/// The page that asks what is in force for the request of a sample.
fn ask_address(report: &ShadowReport, sample: &ShadowSample) -> Option<String> {
    let context = &sample.context;
    if context.value(Dimension::Key).is_some_and(is_hidden_key) {
        return None;
    }
    let values = Dimension::WRITTEN.map(|dimension| {
        (
            dimension.context_field(),
            context.values(dimension).join(","),
        )
    });
    let set = ("set", report.set.as_deref().unwrap_or_default());
    let base = ("at", report.base.as_deref().unwrap_or_default());
    let typed = values.iter().map(|(field, value)| (*field, value.as_str()));
    let pairs: Vec<(&str, &str)> = [set, base].into_iter().chain(typed).collect();
    Some(format!("/ui/ask{}", query_of(&pairs)))
}
