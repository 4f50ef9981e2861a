//! Matrix: what each name of the catalog gets.

use std::collections::BTreeSet;

use maud::{Markup, html};
use refguard_core::document::Dimension;
use refguard_core::policy::Catalog;
use refguard_core::questions::Matrix;

use super::ask::capitalise_word;
use super::frame::Frame;
use super::parts::{chip_list, count_things, group_digits, sentence_markup, visible_text};

/// Guardrails that have a column each; more are lists.
const MAX_COLUMNS: usize = 14;
/// Rows of a page.
const PAGE: usize = 100;
/// Names of a merged row that are shown before the rest is folded, and suggestions of a field.
const MAX_SUGGESTED: usize = 400;

/// What was asked.
#[derive(Debug, Clone)]
pub struct MatrixForm {
    /// Whose names make the rows.
    pub by: Dimension,
    /// What all requests have besides.
    pub others: Vec<(Dimension, String)>,
    /// Only these guardrails, parted by commas.
    pub guardrail: String,
    /// Only rows with names that hold this.
    pub filter: String,
    /// Whether names that get the same share a row.
    pub merged: bool,
    /// The page, from 1.
    pub page: usize,
}

/// A row as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownRow<'m> {
    /// The names of the dimension.
    pub names: Vec<&'m str>,
    /// What they get.
    pub guardrails: &'m [String],
}

/// The rows as they are wanted: merged or one a name, of names that hold a text.
pub fn arrange_rows<'m>(matrix: &'m Matrix, form: &MatrixForm) -> Vec<ShownRow<'m>> {
    let by = form.by.singular();
    let filter = form.filter.trim().to_lowercase();
    let mut rows = Vec::new();
    for row in &matrix.rows {
        let guardrails = row.guardrails.as_slice();
        let names = row.names.get(by).into_iter().flatten().map(String::as_str);
        let mut names = names
            .filter(|name| name.to_lowercase().contains(&filter))
            .peekable();
        match form.merged {
            true if names.peek().is_none() => {}
            true => rows.push(ShownRow {
                names: names.collect(),
                guardrails,
            }),
            false => rows.extend(names.map(|name| ShownRow {
                names: vec![name],
                guardrails,
            })),
        }
    }
    if !form.merged {
        rows.sort_by(|a, b| a.names.cmp(&b.names));
    }
    rows
}

/// The page; instead of a matrix, why there is none. `csv` is the address of the same as a table
/// for a spreadsheet.
pub fn matrix_page(
    frame: &Frame,
    catalog: &Catalog,
    form: &MatrixForm,
    matrix: Result<&Matrix, &str>,
    address: &dyn Fn(&str, usize) -> String,
) -> String {
    let rows = matrix
        .map(|matrix| arrange_rows(matrix, form))
        .unwrap_or_default();
    frame.wrap_page(html! {
        div.head {
            h1 { "What each " (form.by.singular()) " gets" }
            @if !rows.is_empty() {
                span.end { a.button.quiet href=(address("/ui/matrix.csv", 1)) download { "CSV" } }
            }
        }
        (matrix_form(frame, catalog, form))
        @match matrix {
            Err(why) => div.card { p { (sentence_markup(why)) } },
            Ok(matrix) => {
                @for (dimension, patterns) in &matrix.patterns {
                    p.muted { "The catalog also has " (dimension) "s by pattern, whose names \
                        cannot be listed: "
                        @for pattern in patterns.iter().take(20) { code { (visible_text(pattern)) } " " } }
                }
                @if rows.is_empty() { div.card { p { "No name holds that." } } }
                @else { (matrix_table(form, &rows)) (page_links(form, rows.len(), address)) }
            },
        }
    })
}

fn matrix_form(frame: &Frame, catalog: &Catalog, form: &MatrixForm) -> Markup {
    html! {
        form.card method="get" action="/ui/matrix" {
            (frame.hidden_fields())
            div.fields {
                div {
                    label for="by" { "A row for each" }
                    select #by name="by" {
                        @for dimension in Dimension::WRITTEN {
                            option value=(dimension.singular()) selected[dimension == form.by] { (dimension.singular()) }
                        }
                    }
                }
                div { label for="filter" { "Whose name has" } input #filter name="filter" value=(form.filter) autocomplete="off"; }
                div {
                    label for="guardrail" { "Only guardrails" }
                    input #guardrail name="guardrail" value=(form.guardrail) list="guardrails" autocomplete="off" placeholder="all";
                    datalist #guardrails { @for known in catalog.guardrail_names().take(MAX_SUGGESTED) { option value=(known) {} } }
                }
                div {
                    label for="rows" { "Equal rows" }
                    select #rows name="rows" {
                        option value="merged" selected[form.merged] { "merged" }
                        option value="each" selected[!form.merged] { "one a name" }
                    }
                }
            }
            details.more open[form.others.iter().any(|(_, value)| !value.is_empty())] {
                summary { "What the requests have besides" }
                div.fields {
                    @for (dimension, value) in &form.others {
                        @let field = dimension.context_field();
                        div { label for=(field) { (capitalise_word(dimension.singular())) } input id=(field) name=(field) value=(value) autocomplete="off"; }
                    }
                }
            }
            div.actions { button type="submit" { "Show" } }
        }
    }
}

/// The guardrails of some rows, sorted; `None` where they are too many for a column each.
fn column_heads<'m>(rows: &[ShownRow<'m>]) -> Option<BTreeSet<&'m str>> {
    let mut columns = BTreeSet::new();
    for name in rows.iter().flat_map(|row| row.guardrails) {
        columns.insert(name.as_str());
        if columns.len() > MAX_COLUMNS {
            return None;
        }
    }
    Some(columns).filter(|columns| !columns.is_empty())
}

fn matrix_table(form: &MatrixForm, rows: &[ShownRow<'_>]) -> Markup {
    let columns = column_heads(rows);
    let page = form.page.min(last_page(rows.len()));
    let shown = rows.iter().skip((page - 1) * PAGE).take(PAGE);
    html! {
        div.card.scroll tabindex="0" role="region" aria-label="Matrix" {
            table.matrix {
                thead { tr {
                    th scope="col" { (capitalise_word(form.by.plural())) }
                    @if let Some(columns) = &columns { @for column in columns { th.column scope="col" { (break_name(column)) } } }
                    @else { th scope="col" { "Guardrails" } }
                } }
                tbody {
                    @for row in shown {
                        tr {
                            th scope="row" { (chip_list(&row.names)) }
                            @if let Some(columns) = &columns {
                                @for column in columns {
                                    @if row.guardrails.iter().any(|it| it == column) {
                                        td.yes { span aria-hidden="true" { "●" } span.hidden { "yes" } }
                                    } @else { td.no { span aria-hidden="true" { "·" } span.hidden { "no" } } }
                                }
                            } @else {
                                td { @if row.guardrails.is_empty() { span.loss { "none" } } @else { (chip_list(row.guardrails)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A name that may be broken after an underscore.
fn break_name(name: &str) -> Markup {
    let shown = visible_text(name);
    html! { @for (index, piece) in shown.split('_').enumerate() { @if index > 0 { "_" wbr; } (piece) } }
}

fn page_links(form: &MatrixForm, all: usize, address: &dyn Fn(&str, usize) -> String) -> Markup {
    let pages = last_page(all);
    let page = form.page.min(pages);
    html! {
        nav.pager aria-label="Pages of the matrix" {
            @if page > 1 { a.button.quiet href=(address("/ui/matrix", page - 1)) rel="prev" { "Previous" } }
            span.muted {
                (count_things(all, "row", "rows"))
                @if pages > 1 { ", page " (group_digits(page)) " of " (group_digits(pages)) }
            }
            @if page < pages { a.button.quiet href=(address("/ui/matrix", page + 1)) rel="next" { "Next" } }
        }
    }
}

/// The last page of so many rows.
fn last_page(rows: usize) -> usize {
    rows.div_ceil(PAGE).max(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use refguard_core::questions::Row;

    use super::*;

    fn matrix() -> Matrix {
        let row = |names: &[&str], guardrails: &[&str]| Row {
            names: BTreeMap::from([("team", names.iter().map(|it| (*it).to_owned()).collect())]),
            guardrails: guardrails.iter().map(|it| (*it).to_owned()).collect(),
        };
        let rows = vec![row(&["b-eu", "a-us"], &["x"]), row(&["a-eu"], &[])];
        Matrix {
            version: 1,
            by: vec!["team"],
            rows,
            patterns: BTreeMap::new(),
        }
    }

    fn form(filter: &str, merged: bool) -> MatrixForm {
        MatrixForm {
            by: Dimension::Team,
            others: Vec::new(),
            guardrail: String::new(),
            filter: filter.to_owned(),
            merged,
            page: 1,
        }
    }

    #[test]
    fn rows_are_merged_or_split_and_filtered() {
        let names = |form: MatrixForm| {
            let matrix = matrix();
            let rows = arrange_rows(&matrix, &form);
            rows.into_iter()
                .map(|row| row.names.join("+"))
                .collect::<Vec<_>>()
        };
        assert_eq!(names(form("", true)), ["b-eu+a-us", "a-eu"]);
        assert_eq!(names(form("", false)), ["a-eu", "a-us", "b-eu"]);
        assert_eq!(names(form("EU", true)), ["b-eu", "a-eu"]);
        assert_eq!(names(form("none", true)), Vec::<String>::new());
    }
}
