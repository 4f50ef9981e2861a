//! Plain tables: columns as wide as their cells, no frames, nothing to unlearn for `grep` and
//! `cut`.
//!
//! A cell is bounded in display columns, so that one policy with thousands of guardrails neither
//! pads every other row to its width nor reaches the limit of 65,535 columns at which formatting
//! panics.

use std::iter;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::escape::escape_terminal;

/// Display columns of a cell that others follow.
const INNER_COLUMNS: usize = 60;
/// Display columns of the last cell of a row, which moves no other.
const LAST_COLUMNS: usize = 240;

/// A cell as it is shown.
struct Cell {
    text: String,
    /// Columns that the text takes on a terminal.
    columns: usize,
}

/// A table as text, in time linear in what it is given. The last column is not padded.
pub fn format_table(header: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = header.iter().map(|name| name.to_uppercase()).collect();
    let lines: Vec<Vec<Cell>> =
        iter::once(&head).chain(rows).map(|row| fit_row(row, header.len())).collect();

    let mut widths = vec![0; header.len()];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.columns.max(*width);
        }
    }

    let mut text = String::new();
    for line in &lines {
        push_line(&mut text, line, &widths);
    }
    text
}

fn fit_row(row: &[String], columns: usize) -> Vec<Cell> {
    let fit = |(at, text): (usize, &String)| {
        fit_cell(text, if at + 1 == columns { LAST_COLUMNS } else { INNER_COLUMNS })
    };
    row.iter().take(columns).enumerate().map(fit).collect()
}

/// A cell of at most `limit` columns; of a longer text the beginning, and how many characters
/// follow.
fn fit_cell(text: &str, limit: usize) -> Cell {
    let escaped = escape_terminal(text);
    let mut columns = 0;
    for (at, c) in escaped.char_indices() {
        columns += c.width().unwrap_or(0);
        if columns > limit {
            let (shown, cut) = escaped.split_at_checked(at).unwrap_or((&escaped, ""));
            let text = format!("{shown}… (+{} characters)", cut.chars().count());
            return Cell { columns: text.width(), text };
        }
    }
    Cell { columns: escaped.width(), text: escaped.into_owned() }
}

/// Writes one line; what stands at its end is not padded.
fn push_line(out: &mut String, line: &[Cell], widths: &[usize]) {
    let start = out.len();
    let mut gap = 0;
    for (cell, width) in line.iter().zip(widths) {
        out.extend(iter::repeat_n(' ', gap));
        out.push_str(&cell.text);
        gap = width.saturating_sub(cell.columns) + 2;
    }

    let written = out.get(start..).unwrap_or("");
    out.truncate(start + written.trim_end().len());
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(cells: &[&[&str]]) -> Vec<Vec<String>> {
        cells.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect()
    }

    #[test]
    fn columns_line_up_and_lines_do_not_trail() {
        let rows = rows(&[&["baseline", "+a"], &["x", ""]]);
        assert_eq!(format_table(&["policy", "does"], &rows), "POLICY    DOES\nbaseline  +a\nx\n");
    }

    #[test]
    fn columns_line_up_for_wide_and_combining_characters() {
        let rows = rows(&[&["漢字", "+a"], &["e\u{301}", "+b"]]);
        let text = format_table(&["policy", "does"], &rows);
        assert_eq!(text, "POLICY  DOES\n漢字    +a\ne\u{301}       +b\n");
    }

    #[test]
    fn a_long_cell_is_cut_with_a_count_and_pads_no_other_row_to_its_length() {
        let (long, last) = ("g".repeat(100_000), "s".repeat(70_000));
        let text = format_table(&["name", "does", "why"], &rows(&[&["a", &long, &last], &["b"]]));
        let row = text.lines().nth(1).unwrap();
        assert!(row.contains(&format!("{}… (+99940 characters)  s", "g".repeat(60))), "{row}");
        assert!(row.ends_with("s… (+69760 characters)"), "{row}");
        assert!(text.lines().all(|line| line.width() < 400));
    }

    #[test]
    fn a_table_costs_what_its_cells_hold() {
        let mut table = vec![vec!["x".repeat(65_000), String::new(), "y".to_owned()]];
        table.extend(vec![vec![String::new(), String::new(), "y".to_owned()]; 2_000]);
        assert!(format_table(&["a", "b", "c"], &table).len() < 250_000);
    }

    proptest! {
        #[test]
        fn any_cells_make_one_line_a_row(
            cells in prop::collection::vec(prop::collection::vec(".{0,80}", 0..5), 0..6),
            repeat in 1usize..2_000,
        ) {
            let long: Vec<Vec<String>> = cells
                .iter()
                .map(|row| row.iter().map(|cell| cell.repeat(repeat)).collect())
                .collect();
            let text = format_table(&["a", "b", "c"], &long);
            prop_assert_eq!(text.lines().count(), cells.len() + 1);
            prop_assert!(text.lines().all(|line| line.width() <= 2 * 90 + 270));
        }
    }
}
