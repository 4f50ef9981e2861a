//! Plain tables: columns as wide as their cells, no frames, nothing to unlearn for `grep` and `cut`.

/// A table as text. The last column is not padded.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let cells = |row: &[String]| {
        row.iter().map(|cell| super::escape::escape_terminal(cell).into_owned()).collect::<Vec<_>>()
    };
    let head: Vec<String> = header.iter().map(|name| name.to_uppercase()).collect();
    let lines: Vec<Vec<String>> =
        std::iter::once(head).chain(rows.iter().map(|row| cells(row))).collect();
    let width = |column: usize| {
        lines
            .iter()
            .filter_map(|line| line.get(column))
            .map(|c| c.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let padded: Vec<String> =
            line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn columns_line_up_and_lines_do_not_trail() {
        let rows =
            [vec!["baseline".to_owned(), "+a".to_owned()], vec!["x".to_owned(), String::new()]];
        assert_eq!(table(&["policy", "does"], &rows), "POLICY    DOES\nbaseline  +a\nx\n");
    }
}
