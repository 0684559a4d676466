//! Series as a table.

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};

use super::drawing::{Drawing, label_names};
use super::number::short;
use crate::times;

/// One row a series, with its last, least, greatest and mean value; its one value if the query was
/// an instant one. With `by_time`, one row a point in time and one column a series instead.
#[must_use]
pub fn table(drawing: &Drawing, by_time: bool) -> String {
    if drawing.lines.is_empty() {
        return "no series\n".to_owned();
    }
    if by_time {
        values(drawing)
    } else {
        summaries(drawing)
    }
}

fn summaries(drawing: &Drawing) -> String {
    let names = label_names(&drawing.lines);
    let columns: &[&str] = if drawing.is_instant {
        &["VALUE"]
    } else {
        &["LAST", "MIN", "MAX", "MEAN"]
    };
    let mut table = empty(
        names
            .iter()
            .map(|name| (*name).to_owned())
            .chain(columns.iter().map(|&name| name.to_owned())),
    );
    for line in &drawing.lines {
        let labels = names
            .iter()
            .map(|name| Cell::new(printable(line.label(name))));
        let numbers: Vec<String> = match line.summary() {
            Some(summary) if drawing.is_instant => vec![short(summary.last)],
            Some(summary) => [summary.last, summary.min, summary.max, summary.mean]
                .map(short)
                .to_vec(),
            None => columns.iter().map(|_| String::new()).collect(),
        };
        table.add_row(
            labels.chain(
                numbers
                    .iter()
                    .map(|number| Cell::new(number).set_alignment(CellAlignment::Right)),
            ),
        );
    }
    finish(table, names.len())
}

fn values(drawing: &Drawing) -> String {
    let mut times: Vec<i64> = drawing
        .lines
        .iter()
        .flat_map(|line| line.points.iter().map(|(time, _)| *time))
        .collect();
    times.sort_unstable();
    times.dedup();
    let mut table = empty(
        std::iter::once("TIME".to_owned())
            .chain(drawing.lines.iter().map(|line| printable(&line.name()))),
    );
    for time in times {
        let value = |line: &super::Line| {
            let found = line
                .points
                .binary_search_by_key(&time, |(time, _)| *time)
                .ok();
            found
                .and_then(|at| line.points.get(at))
                .map_or_else(String::new, |(_, value)| short(*value))
        };
        let cells = drawing
            .lines
            .iter()
            .map(|line| Cell::new(value(line)).set_alignment(CellAlignment::Right));
        table.add_row(std::iter::once(Cell::new(times::format(time))).chain(cells));
    }
    finish(table, 1)
}

fn empty(header: impl Iterator<Item = String>) -> Table {
    let mut table = Table::new();
    table
        .load_preset(NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.collect::<Vec<_>>());
    table
}

/// The table as text: numbers and their heads to the right, no blanks at the ends of lines.
fn finish(mut table: Table, text_columns: usize) -> String {
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if index >= text_columns {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

/// A label's value on one line, without what a terminal would obey.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::drawing::samples::two_lines;
    use super::*;

    #[test]
    fn a_series_is_a_row() {
        assert_eq!(
            table(&two_lines(), false),
            "resource.service.name  LAST  MIN  MAX  MEAN\n\
             cart                    100    0  100    50\n\
             frontend                 20   20   80    50\n"
        );
    }

    #[test]
    fn or_a_column() {
        let text = table(&two_lines(), true);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 12);
        assert_eq!(lines[0], "TIME                  cart  frontend");
        assert_eq!(lines[4], "2024-12-13T12:40:00Z    30        80");
        assert_eq!(lines[5], "2024-12-13T12:41:00Z    40");
    }

    #[test]
    fn nothing_says_so() {
        assert_eq!(table(&Drawing::default(), false), "no series\n");
    }
}
