//! Series as a chart in the terminal.

use std::fmt::Write as _;

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::{Color, Style};
use ratatui_core::symbols::Marker;
use ratatui_core::widgets::Widget;
use ratatui_widgets::chart::{Axis, Chart, Dataset, GraphType};

use super::drawing::{Drawing, Line};
use super::number::short;
use crate::output::Screen;
use crate::times;

/// Series drawn at most; more cannot be told apart.
pub const MAX_DRAWN: usize = 8;

const HEIGHT: u16 = 14;
const COLORS: [Color; MAX_DRAWN] = [
    Color::Cyan,
    Color::Yellow,
    Color::Green,
    Color::Magenta,
    Color::Red,
    Color::Blue,
    Color::LightCyan,
    Color::LightRed,
];
/// What tells series apart where there are no colours.
const MARKS: [char; MAX_DRAWN] = ['*', '+', 'o', 'x', '#', '@', '%', '='];

/// A chart of the greatest series, with a legend that says their last and greatest values.
#[must_use]
pub fn plot(drawing: &Drawing, title: &str, screen: Screen) -> String {
    let mut shown: Vec<&Line> = drawing
        .lines
        .iter()
        .filter(|line| !line.points.is_empty())
        .collect();
    if shown.is_empty() {
        return format!("{title}\n  no series\n");
    }
    // Lines along zero say nothing, unless there is nothing else.
    if shown.iter().any(|line| total(line) > 0.0) {
        shown.retain(|line| total(line) > 0.0);
    }
    let zero = drawing.lines.len() - shown.len();
    let hidden = shown.len().saturating_sub(MAX_DRAWN);
    shown.sort_by(|a, b| total(b).total_cmp(&total(a)));
    shown.truncate(MAX_DRAWN);

    let mut out = format!("{title}\n");
    out.push_str(&chart(drawing, &shown, screen));
    for (index, line) in shown.iter().enumerate() {
        legend(&mut out, index, line, screen);
    }
    let more = match (hidden, zero) {
        (0, 0) => return out,
        (0, zero) => format!("{zero} that are 0 throughout"),
        (hidden, 0) => format!("{hidden} smaller ones"),
        (hidden, zero) => format!("{hidden} smaller ones, {zero} that are 0 throughout"),
    };
    let _infallible = writeln!(out, "  not drawn: {more}");
    out
}

fn total(line: &Line) -> f64 {
    line.points.iter().map(|(_, value)| value.abs()).sum()
}

fn chart(drawing: &Drawing, shown: &[&Line], screen: Screen) -> String {
    // Relative to the start: epoch nanoseconds do not fit an f64.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a chart has some hundred columns"
    )]
    let x = |time: i64| time.saturating_sub(drawing.start_ns) as f64;
    let runs: Vec<(usize, Vec<(f64, f64)>)> = shown
        .iter()
        .enumerate()
        .flat_map(|(index, line)| runs(line).into_iter().map(move |run| (index, run)))
        .map(|(index, run)| {
            (
                index,
                run.iter().map(|(time, value)| (x(*time), *value)).collect(),
            )
        })
        .collect();
    let datasets = runs.iter().map(|(index, points)| {
        let (marker, style) = if screen.color {
            (Marker::Braille, Style::new().fg(COLORS[*index]))
        } else {
            (Marker::Custom(MARKS[*index]), Style::new())
        };
        let graph = if points.len() == 1 {
            GraphType::Scatter
        } else {
            GraphType::Line
        };
        Dataset::default()
            .marker(marker)
            .style(style)
            .graph_type(graph)
            .data(points)
    });

    let values = || {
        shown
            .iter()
            .flat_map(|line| &line.points)
            .map(|(_, value)| *value)
            .filter(|value| value.is_finite())
    };
    let low = values().fold(0.0, f64::min);
    let high = values().fold(f64::MIN_POSITIVE, f64::max);
    let end = x(drawing.end_ns).max(1.0);
    let clock = if end > 24.0 * 3600e9 {
        times::format_minute
    } else {
        times::format_clock
    };
    let middle = drawing.start_ns + (drawing.end_ns - drawing.start_ns) / 2;
    let axis = Style::new().fg(if screen.color {
        Color::DarkGray
    } else {
        Color::Reset
    });
    let chart = Chart::new(datasets.collect())
        .legend_position(None)
        .x_axis(
            Axis::default()
                .style(axis)
                .bounds([0.0, end])
                .labels([drawing.start_ns, middle, drawing.end_ns].map(clock)),
        )
        .y_axis(
            Axis::default()
                .style(axis)
                .bounds([low, high])
                .labels([low, low.midpoint(high), high].map(short)),
        );
    let area = Rect::new(0, 0, screen.width, HEIGHT);
    let mut buffer = Buffer::empty(area);
    chart.render(area, &mut buffer);
    text(&buffer, screen.color)
}

/// The stretches of a line without a missing sample, so that a gap stays a gap.
fn runs(line: &Line) -> Vec<Vec<(i64, f64)>> {
    let step = line
        .points
        .windows(2)
        .map(|pair| pair[1].0 - pair[0].0)
        .min()
        .unwrap_or(1);
    let adjacent = |a: &(i64, f64), b: &(i64, f64)| b.0 - a.0 <= step + step / 2;
    line.points
        .chunk_by(adjacent)
        .map(<[(i64, f64)]>::to_vec)
        .collect()
}

fn legend(out: &mut String, index: usize, line: &Line, screen: Screen) {
    let Some(summary) = line.summary() else {
        return;
    };
    let room = usize::from(screen.width).saturating_sub(34);
    let mut name: String = line
        .name()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if name.chars().count() > room {
        name = name
            .chars()
            .take(room.saturating_sub(1))
            .chain(['…'])
            .collect();
    }
    let mark = if screen.color {
        format!("{}━━\u{1b}[0m", sgr(COLORS[index]))
    } else {
        MARKS[index].to_string().repeat(2)
    };
    let _infallible = writeln!(
        out,
        "  {mark} {name:<room$}  last {:<8} max {}",
        short(summary.last),
        short(summary.max)
    );
}

/// The characters of a buffer with their colours, without blanks at the ends of lines.
fn text(buffer: &Buffer, color: bool) -> String {
    let mut out = String::new();
    for y in 0..buffer.area.height {
        let mut row = String::new();
        let mut current = Color::Reset;
        for x in 0..buffer.area.width {
            let Some(cell) = buffer.cell((x, y)) else {
                continue;
            };
            if color && cell.fg != current && cell.symbol() != " " {
                row.push_str(&sgr(cell.fg));
                current = cell.fg;
            }
            row.push_str(cell.symbol());
        }
        row.truncate(row.trim_end().len());
        if current != Color::Reset {
            row.push_str("\u{1b}[0m");
        }
        out.push_str(&row);
        out.push('\n');
    }
    out
}

fn sgr(color: Color) -> String {
    let code = match color {
        Color::Red => 31,
        Color::Green => 32,
        Color::Yellow => 33,
        Color::Blue => 34,
        Color::Magenta => 35,
        Color::Cyan => 36,
        Color::DarkGray => 90,
        Color::LightRed => 91,
        Color::LightCyan => 96,
        _ => 0,
    };
    format!("\u{1b}[{code}m")
}

#[cfg(test)]
mod tests {
    use super::super::drawing::samples::two_lines;
    use super::*;

    #[test]
    fn fits_80_columns_and_names_every_series() {
        let text = plot(
            &two_lines(),
            "requests",
            Screen {
                width: 80,
                color: false,
            },
        );
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        for part in [
            "requests\n",
            "** cart",
            "++ frontend",
            "last 100",
            "max 80",
            "12:37:00",
            "12:42:00",
            "12:47:00",
        ] {
            assert!(text.contains(part), "no {part:?} in\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn colours_end_where_they_should() {
        let text = plot(
            &two_lines(),
            "requests",
            Screen {
                width: 80,
                color: true,
            },
        );
        for line in text.lines().filter(|line| line.contains('\u{1b}')) {
            assert!(
                line.rfind("\u{1b}[0m") >= line.rfind("\u{1b}[3"),
                "{line:?}"
            );
        }
    }

    #[test]
    fn a_gap_stays_a_gap() {
        assert_eq!(
            runs(&two_lines().lines[1])
                .iter()
                .map(Vec::len)
                .collect::<Vec<_>>(),
            [4, 4]
        );
    }

    #[test]
    fn nothing_says_so() {
        assert_eq!(
            plot(
                &Drawing::default(),
                "requests",
                Screen {
                    width: 80,
                    color: false
                }
            ),
            "requests\n  no series\n"
        );
    }
}
