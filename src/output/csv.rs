//! Lines for spreadsheets, as RFC 4180 has them. Must not know what stands in them.

/// One line of a table of commas.
pub(super) fn csv_line(cells: &[String]) -> String {
    let quoted = |cell: &String| {
        // What a spreadsheet would take for a formula is made a text.
        let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
        let cell = if is_formula {
            format!("'{cell}")
        } else {
            cell.clone()
        };
        match cell.contains(['"', ',', '\n', '\r']) {
            true => format!("\"{}\"", cell.replace('"', "\"\"")),
            false => cell,
        }
    };
    cells.iter().map(quoted).collect::<Vec<_>>().join(",") + "\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_quoted_where_it_must_be_and_is_never_a_formula() {
        let line = |cells: &[&str]| {
            csv_line(
                &cells
                    .iter()
                    .map(|cell| (*cell).to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(
            line(&["a", "b, c", "say \"x\"", ""]),
            "a,\"b, c\",\"say \"\"x\"\"\",\r\n"
        );
        assert_eq!(line(&["=1+1", "@x", "-1"]), "'=1+1,'@x,'-1\r\n");
    }
}
