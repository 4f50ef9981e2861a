//! Plain tables: columns as wide as their cells, no frames, nothing to unlearn for `grep` and
//! `cut`. On a terminal they fit its width, and no word is broken.
//!
//! On a terminal a cell is bounded in display columns. Elsewhere nothing is cut: who reads a pipe
//! wants whole names. What is longer than the bound moves what follows in its own row, and no other
//! one, so that one policy with thousands of guardrails pads no row to its width.

use std::iter;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::Style;
use super::escape::escape_terminal;
use super::fitting::{fit_indented, wrap_words};

/// Display columns of a cell that others follow.
const INNER_COLUMNS: usize = 60;
/// Display columns of the last cell of a row, which moves no other.
const LAST_COLUMNS: usize = 240;
/// Display columns between two cells.
const GAP: usize = 2;

/// A cell as it is shown.
struct Cell {
    text: String,
    /// Columns that the text takes on a terminal.
    columns: usize,
}

impl Cell {
    /// Columns of its longest word: less than that breaks it.
    fn longest_word(&self) -> usize {
        self.text
            .split_whitespace()
            .map(UnicodeWidthStr::width)
            .max()
            .unwrap_or(0)
    }
}

/// A table as text, in time linear in what it is given. The last column is not padded. Where a
/// terminal is narrower, cells take several lines; where not even their longest words fit beside
/// each other, each row is told cell by cell.
pub fn format_table(header: &[&str], rows: &[Vec<String>], style: Style) -> String {
    let head: Vec<String> = header.iter().map(|name| name.to_uppercase()).collect();
    let lines: Vec<Vec<Cell>> = iter::once(&head)
        .chain(rows)
        .map(|row| fit_row(row, header.len(), style))
        .collect();

    let most = |measure: fn(&Cell) -> usize| {
        let mut widths = vec![0; header.len()];
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = measure(cell).max(*width);
            }
        }
        widths
    };
    let mut widths = most(|cell| cell.columns);
    if style.columns.is_none() {
        let is_padded = widths.len().saturating_sub(1);
        widths
            .iter_mut()
            .take(is_padded)
            .for_each(|width| *width = (*width).min(INNER_COLUMNS));
    }
    let gaps = GAP * header.len().saturating_sub(1);
    let mut text = String::new();
    match style.columns {
        Some(columns) if widths.iter().sum::<usize>() + gaps > columns => {
            match share_columns(
                &widths,
                &most(Cell::longest_word),
                columns.saturating_sub(gaps),
            ) {
                Some(widths) => lines
                    .iter()
                    .for_each(|line| push_tall(&mut text, line, &widths)),
                None => push_records(&mut text, &head, &lines, columns),
            }
        }
        _ => lines
            .iter()
            .for_each(|line| push_line(&mut text, line, &widths)),
    }
    text
}

fn fit_row(row: &[String], columns: usize, style: Style) -> Vec<Cell> {
    let fit = |(at, text): (usize, &String)| match style.columns {
        None => whole_cell(text),
        Some(_) => fit_cell(
            text,
            if at + 1 == columns {
                LAST_COLUMNS
            } else {
                INNER_COLUMNS
            },
        ),
    };
    row.iter().take(columns).enumerate().map(fit).collect()
}

/// A cell with all of its text.
fn whole_cell(text: &str) -> Cell {
    let text = escape_terminal(text).into_owned();
    Cell {
        columns: text.width(),
        text,
    }
}

/// A cell of at most `limit` columns; of a longer text the beginning, to the end of a word where
/// there is one, and how many characters follow.
fn fit_cell(text: &str, limit: usize) -> Cell {
    let escaped = escape_terminal(text);
    let mut columns = 0;
    for (at, c) in escaped.char_indices() {
        columns += c.width().unwrap_or(0);
        if columns > limit {
            let (shown, cut) = escaped.split_at_checked(at).unwrap_or((&escaped, ""));
            let (shown, cut) = match shown.trim_end().rfind(' ') {
                Some(end) if !c.is_whitespace() => {
                    escaped.split_at_checked(end).unwrap_or((shown, cut))
                }
                _ => (shown, cut),
            };
            let text = format!("{shown}… (+{} characters)", cut.chars().count());
            return Cell {
                columns: text.width(),
                text,
            };
        }
    }
    Cell {
        columns: escaped.width(),
        text: escaped.into_owned(),
    }
}

/// How wide each column may be, so that all of them have `room`: as wide as its longest word, and a
/// fair share of what is left. `None`: the longest words are too long.
fn share_columns(wanted: &[usize], least: &[usize], room: usize) -> Option<Vec<usize>> {
    let mut left = room.checked_sub(least.iter().sum())?;
    let mut widths = least.to_vec();
    loop {
        let open = widths
            .iter()
            .zip(wanted)
            .filter(|(width, wanted)| width < wanted)
            .count();
        let share = left.checked_div(open)?.max(1);
        for (width, wanted) in widths.iter_mut().zip(wanted) {
            let more = wanted.saturating_sub(*width).min(share).min(left);
            *width += more;
            left -= more;
        }
        // Less is left than all columns want, so this ends with none left.
        if left == 0 {
            return Some(widths);
        }
    }
}

/// Writes one line; what stands at its end is not padded.
fn push_line(out: &mut String, line: &[Cell], widths: &[usize]) {
    let cells = line.iter().map(|cell| (cell.text.as_str(), cell.columns));
    push_cells(out, cells, widths);
}

/// Writes one row whose cells take as many lines as their words need.
fn push_tall(out: &mut String, line: &[Cell], widths: &[usize]) {
    let cells: Vec<Vec<String>> = line
        .iter()
        .zip(widths)
        .map(|(cell, width)| wrap_words(&cell.text, *width))
        .collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or(1).max(1);
    for at in 0..height {
        let words = |cell: &'_ Vec<String>| cell.get(at).cloned().unwrap_or_default();
        let texts: Vec<String> = cells.iter().map(words).collect();
        push_cells(
            out,
            texts.iter().map(|text| (text.as_str(), text.width())),
            widths,
        );
    }
}

fn push_cells<'c>(
    out: &mut String,
    cells: impl Iterator<Item = (&'c str, usize)>,
    widths: &[usize],
) {
    let start = out.len();
    let mut gap = 0;
    for ((text, columns), width) in cells.zip(widths) {
        out.extend(iter::repeat_n(' ', gap));
        out.push_str(text);
        gap = width.saturating_sub(columns) + GAP;
    }

    let written = out.get(start..).unwrap_or("");
    out.truncate(start + written.trim_end().len());
    out.push('\n');
}

/// Writes every row as a paragraph: a line a cell, with the name of its column before it.
fn push_records(out: &mut String, head: &[String], lines: &[Vec<Cell>], columns: usize) {
    let names = head.iter().map(|name| name.width()).max().unwrap_or(0);
    for line in lines.iter().skip(1) {
        for (name, cell) in head
            .iter()
            .zip(line)
            .filter(|(_, cell)| !cell.text.is_empty())
        {
            let padded = format!("{name}{}  ", " ".repeat(names.saturating_sub(name.width())));
            fit_indented(out, &padded, &cell.text, columns);
        }
        out.push('\n');
    }
    if out.ends_with("\n\n") {
        out.pop();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(cells: &[&[&str]]) -> Vec<Vec<String>> {
        cells
            .iter()
            .map(|row| row.iter().map(|cell| (*cell).to_owned()).collect())
            .collect()
    }

    #[test]
    fn columns_line_up_and_lines_do_not_trail() {
        let rows = rows(&[&["baseline", "+a"], &["x", ""]]);
        assert_eq!(
            format_table(&["policy", "does"], &rows, Style::default()),
            "POLICY    DOES\nbaseline  +a\nx\n"
        );
    }

    #[test]
    fn columns_line_up_for_wide_and_combining_characters() {
        let rows = rows(&[&["漢字", "+a"], &["e\u{301}", "+b"]]);
        let text = format_table(&["policy", "does"], &rows, Style::default());
        assert_eq!(text, "POLICY  DOES\n漢字    +a\ne\u{301}       +b\n");
    }

    #[test]
    fn a_long_cell_is_cut_with_a_count_on_a_terminal() {
        let (long, last) = ("g".repeat(100_000), "s".repeat(70_000));
        let text = format_table(
            &["name", "does", "why"],
            &rows(&[&["a", &long, &last], &["b"]]),
            at(1_000),
        );
        let row = text.lines().nth(1).unwrap();
        assert!(
            row.contains(&format!("{}… (+99940 characters)  s", "g".repeat(60))),
            "{row}"
        );
        assert!(row.ends_with("s… (+69760 characters)"), "{row}");
        assert!(text.lines().all(|line| line.width() < 400));
    }

    #[test]
    fn elsewhere_every_cell_is_whole_and_pads_no_other_row_to_its_length() {
        let long = "g".repeat(100_000);
        let table = rows(&[&["a", &long, "s"], &["b", "c", "d"]]);
        let text = format_table(&["name", "does", "why"], &table, Style::default());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], format!("a     {long}  s"));
        assert_eq!(lines[2], format!("b     c{}d", " ".repeat(61)));
    }

    #[test]
    fn a_table_costs_what_its_cells_hold() {
        let mut table = vec![vec!["x".repeat(65_000), String::new(), "y".to_owned()]];
        table.extend(vec![
            vec![String::new(), String::new(), "y".to_owned()];
            2_000
        ]);
        assert!(format_table(&["a", "b", "c"], &table, Style::default()).len() < 250_000);
    }

    fn at(columns: usize) -> Style {
        Style {
            columns: Some(columns),
            ..Style::default()
        }
    }

    #[test]
    fn cells_of_a_narrow_terminal_take_several_lines_and_words_stay_whole() {
        let rows = rows(&[
            &[
                "eu-health",
                "hipaa_audit, phi_redaction, pii",
                "policies/health.yaml:1",
            ],
            &["lab", "log", "policies/lab.yaml:12"],
        ]);
        let header = ["team", "guardrails", "place"];
        assert_eq!(
            format_table(&header, &rows, at(52)),
            "TEAM       GUARDRAILS         PLACE\n\
             eu-health  hipaa_audit,       policies/health.yaml:1\n           \
             phi_redaction,\n           pii\n\
             lab        log                policies/lab.yaml:12\n"
        );
        // Where not even the words fit beside each other, a row is a paragraph.
        let text = format_table(&header, &rows, at(40));
        assert!(
            text.starts_with("TEAM        eu-health\nGUARDRAILS  hipaa_audit,"),
            "{text}"
        );
        assert!(text.lines().all(|line| line.width() <= 40), "{text}");
        assert_eq!(
            format_table(&header, &rows, at(80)),
            format_table(&header, &rows, Style::default())
        );
    }

    #[test]
    fn a_cell_is_cut_between_words() {
        let cell = fit_cell("one two three four", 10);
        assert_eq!(cell.text, "one two… (+11 characters)");
    }

    proptest! {
        #[test]
        fn no_table_is_wider_than_its_terminal_unless_a_word_is(
            cells in prop::collection::vec(prop::collection::vec("[a-z,]{1,12}( [a-z]{1,12}){0,6}", 3), 0..5),
            columns in 40usize..120,
        ) {
            let text = format_table(&["a", "b", "c"], &cells, at(columns));
            prop_assert!(text.lines().all(|line| line.width() <= columns), "{}", text);
            let words = |text: &str| text.split_whitespace().filter(|word| !matches!(*word, "A" | "B" | "C")).count();
            let due: usize = cells.iter().flatten().map(|cell| words(cell)).sum();
            let is_cut = text.contains('…');
            prop_assert!(is_cut || words(&text) == due, "{}", text);
        }

        #[test]
        fn any_cells_make_one_line_a_row(
            cells in prop::collection::vec(prop::collection::vec(".{0,80}", 0..5), 0..6),
            repeat in 1usize..2_000,
        ) {
            let long: Vec<Vec<String>> = cells
                .iter()
                .map(|row| row.iter().map(|cell| cell.repeat(repeat)).collect())
                .collect();
            let text = format_table(&["a", "b", "c"], &long, Style::default());
            prop_assert_eq!(text.lines().count(), cells.len() + 1);
            let most = long.iter().flatten().map(|cell| escape_terminal(cell).len()).max().unwrap_or(0);
            prop_assert!(text.lines().all(|line| line.width() <= 3 * most + 2 * 62 + 3));
        }
    }
}
