//! What each name of the catalog gets: for a person, a spreadsheet, a comment and a page.

use std::fmt::Write as _;

use refguard_core::questions::{Matrix, Row};

use super::Style;
use super::csv::csv_line;
use super::escape::{escape_terminal, escape_xml, markdown_code};
use super::table::format_table;

const NONE: &str = "(none)";

/// A table for a terminal.
pub fn matrix_human(matrix: &Matrix, style: Style) -> String {
    let mut header: Vec<&str> = matrix.by.clone();
    header.push("guardrails");
    let rows: Vec<Vec<String>> = matrix
        .rows
        .iter()
        .map(|row| row_cells(matrix, row, ", "))
        .collect();
    format_table(&header, &rows, style)
}

/// The cells of a row: the names of each dimension, then what they get.
fn row_cells(matrix: &Matrix, row: &Row, between: &str) -> Vec<String> {
    let names = matrix
        .by
        .iter()
        .map(|of| row.names.get(of).map(|it| it.join(between)));
    let mut cells: Vec<String> = names.map(Option::unwrap_or_default).collect();
    cells.push(match row.guardrails.as_slice() {
        [] => NONE.to_owned(),
        guardrails => guardrails.join(between),
    });
    cells
}

/// Lines as RFC 4180 has them. Names that get the same share a cell, a comma and a space between
/// them.
pub fn matrix_csv(matrix: &Matrix) -> String {
    let mut header: Vec<String> = matrix.by.iter().map(|of| (*of).to_owned()).collect();
    header.push("guardrails".to_owned());
    let mut text = csv_line(&header);
    for row in &matrix.rows {
        let mut cells = row_cells(matrix, row, ", ");
        if row.guardrails.is_empty() {
            cells.pop();
            cells.push(String::new());
        }
        text.push_str(&csv_line(&cells));
    }
    text
}

/// A table for a comment on a forge.
pub fn matrix_markdown(matrix: &Matrix) -> String {
    let mut text = String::new();
    let columns: Vec<&str> = matrix.by.iter().copied().chain(["guardrails"]).collect();
    let rule = vec!["---"; columns.len()].join(" | ");
    // Writing to a string cannot fail.
    let _ = writeln!(text, "| {} |\n| {rule} |", columns.join(" | "));
    let code = |names: &[String]| {
        names
            .iter()
            .map(|name| markdown_code(name))
            .collect::<Vec<_>>()
            .join(", ")
    };
    for row in &matrix.rows {
        let names = matrix
            .by
            .iter()
            .map(|of| row.names.get(of).map(|it| code(it)));
        let mut cells: Vec<String> = names.map(Option::unwrap_or_default).collect();
        cells.push(match row.guardrails.as_slice() {
            [] => "*none*".to_owned(),
            guardrails => code(guardrails),
        });
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

const STYLE: &str = "body{font:14px/1.4 system-ui,sans-serif;margin:2rem}\
table{border-collapse:collapse}caption{text-align:left;padding:0 0 .5rem}\
th,td{border:1px solid #8888;padding:.25rem .5rem;text-align:left;vertical-align:top}\
code{font:13px ui-monospace,monospace}:root{color-scheme:light dark}";

/// A page by itself: nothing of it comes from elsewhere. `set` is where the matrix comes from.
pub fn matrix_html(matrix: &Matrix, set: &str) -> String {
    let code = |names: &[String]| {
        let names = names
            .iter()
            .map(|name| format!("<code>{}</code>", escape_visible(name)));
        names.collect::<Vec<_>>().join(", ")
    };
    let head = |name: &str| format!("<th scope=\"col\">{name}</th>");
    let columns: String = matrix
        .by
        .iter()
        .copied()
        .chain(["guardrails"])
        .map(head)
        .collect();
    let mut rows = String::new();
    for row in &matrix.rows {
        rows.push_str("<tr>");
        for of in &matrix.by {
            let names = row
                .names
                .get(of)
                .map(|names| code(names))
                .unwrap_or_default();
            let _ = write!(rows, "<td>{names}</td>");
        }
        let guardrails = match row.guardrails.as_slice() {
            [] => "<em>none</em>".to_owned(),
            guardrails => code(guardrails),
        };
        let _ = writeln!(rows, "<td>{guardrails}</td></tr>");
    }
    let title = format!(
        "What each {} gets in {}",
        matrix.by.join(" and "),
        escape_visible(set)
    );
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<table>\n<caption>{title}</caption>\n\
         <thead><tr>{columns}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</body>\n</html>\n"
    )
}

/// A name in a page: as text, with what is hidden made visible.
fn escape_visible(name: &str) -> String {
    escape_xml(&escape_terminal(name))
}
