//! `/ui/matrix`, `/ui/matrix.csv`: what each name of the catalog gets.

use std::collections::BTreeMap;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use refguard_core::document::Dimension;
use refguard_core::policy::Context;
use refguard_core::questions::{Matrix, MatrixQuestion, Row, make_matrix};
use serde::Deserialize;

use super::typed::TypedRequest;
use super::view::Wanted;
use super::{Visit, guard_response, send_page};
use crate::http::problem::Problem;
use crate::output::matrix_csv;
use crate::pages::{MatrixForm, Section, arrange_rows, matrix_page, query_of};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    set: String,
    at: String,
    now: String,
    by: String,
    filter: String,
    guardrail: String,
    rows: String,
    page: String,
    #[serde(flatten)]
    request: TypedRequest,
}

impl Asked {
    fn form(&self) -> Result<MatrixForm, Problem> {
        let by = match self.by.as_str() {
            "" => Some(Dimension::Team),
            word => Dimension::WRITTEN
                .into_iter()
                .find(|dimension| dimension.singular() == word),
        };
        let Some(by) = by else {
            return Err(Problem::bad_request(format!(
                "there is no dimension `{}`",
                self.by
            )));
        };
        let others = Dimension::WRITTEN
            .into_iter()
            .filter(|dimension| *dimension != by);
        Ok(MatrixForm {
            by,
            others: others
                .map(|dimension| (dimension, self.request.of(dimension).to_owned()))
                .collect(),
            guardrail: self.guardrail.clone(),
            filter: self.filter.clone(),
            merged: self.rows != "each",
            page: self.page.parse().unwrap_or(1).max(1),
        })
    }

    /// What was asked, as the query of an address has it, without set, time and page.
    fn pairs(&self) -> Vec<(&'static str, &str)> {
        let own = [
            ("by", self.by.as_str()),
            ("filter", &self.filter),
            ("guardrail", &self.guardrail),
            ("rows", &self.rows),
        ];
        own.into_iter().chain(self.request.pairs()).collect()
    }
}

/// What the form asks for.
fn read_question(form: &MatrixForm) -> Result<MatrixQuestion, Problem> {
    let split = |text: &str| -> Vec<String> {
        let parts = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    };
    let values = form.others.iter().flat_map(|(dimension, text)| {
        let parts = if dimension.is_set() {
            split(text)
        } else {
            vec![text.trim().to_owned()]
        };
        parts
            .into_iter()
            .filter(|it| !it.is_empty())
            .map(|it| (*dimension, it))
    });
    let values: Vec<(Dimension, String)> = values.collect();
    let context = Context::from_values(values.iter().map(|(of, value)| (*of, value.as_str())));
    let context = context
        .within_limits()
        .map_err(|error| Problem::bad_request(error.to_string()))?;
    Ok(MatrixQuestion {
        by: vec![form.by],
        guardrails: split(&form.guardrail),
        context,
    })
}

pub(super) async fn show_matrix(visit: Visit) -> Result<Response, Problem> {
    let asked: Asked = visit.query()?;
    let view = visit
        .make_view(Wanted::new(&asked.set, &asked.at, &asked.now))
        .await?;
    let form = asked.form()?;
    let pairs = asked.pairs();
    let frame = visit.frame_of("Matrix", Section::Matrix, &view, ("/ui/matrix", &pairs));
    let fixed = [
        ("set", view.name.to_string()),
        ("at", view.commit().unwrap_or_default().to_owned()),
        ("now", view.instant_that_counts().unwrap_or_default()),
    ];
    let made = visit.app.page_makers.run_work(move || {
        let question = read_question(&form)?;
        let matrix = make_matrix(view.engine(), &question).map_err(|error| error.to_string());
        let address = |path: &str, page: usize| {
            let page = if page > 1 {
                page.to_string()
            } else {
                String::new()
            };
            let fixed = fixed.iter().map(|(name, value)| (*name, value.as_str()));
            let pairs: Vec<_> = fixed
                .chain(asked.pairs())
                .chain([("page", page.as_str())])
                .collect();
            format!("{path}{}", query_of(&pairs))
        };
        let matrix = matrix.as_ref().map_err(String::as_str);
        Ok(matrix_page(
            &frame,
            &view.set().catalog,
            &form,
            matrix,
            &address,
        ))
    });
    Ok(send_page(made.await?))
}

/// The same as a table for a spreadsheet, all of it.
pub(super) async fn answer_csv(visit: Visit) -> Result<Response, Problem> {
    let asked: Asked = visit.query()?;
    let view = visit
        .make_view(Wanted::new(&asked.set, &asked.at, &asked.now))
        .await?;
    let form = asked.form()?;
    let commit = view
        .commit()
        .and_then(|hash| hash.get(..10))
        .unwrap_or("worktree");
    let file = format!("attachment; filename=\"matrix-{commit}.csv\"");
    let made = visit.app.page_makers.run_work(move || {
        let question = read_question(&form)?;
        let matrix = make_matrix(view.engine(), &question)
            .map_err(|error| Problem::not_found(error.to_string()))?;
        let rows = arrange_rows(&matrix, &form).into_iter().map(|row| Row {
            names: [(
                form.by.singular(),
                row.names.into_iter().map(str::to_owned).collect(),
            )]
            .into(),
            guardrails: row.guardrails.to_vec(),
        });
        let (rows, by, patterns) = (rows.collect(), matrix.by.clone(), BTreeMap::new());
        Ok(matrix_csv(&Matrix {
            version: matrix.version,
            by,
            rows,
            patterns,
        }))
    });
    let mut response = made.await?.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/csv; charset=utf-8"),
    );
    if let Ok(file) = HeaderValue::from_str(&file) {
        headers.insert(header::CONTENT_DISPOSITION, file);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    guard_response(&mut response);
    Ok(response)
}
