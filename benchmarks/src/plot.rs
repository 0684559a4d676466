//! The wall times of the warm queries as a picture: a row for each query, a dot for each engine.

use plotters::prelude::*;

use crate::error::BenchError;
use crate::record::{Run, Timing};

const SUITE: &str = "metrics warm";
const WIDTH: u32 = 960;
const ROW_HEIGHT: u32 = 20;
const MARGIN_HEIGHT: u32 = 110;
/// Told apart by everyone who sees colours, and by most who see few; the first is Spandrel's.
const COLOURS: [RGBColor; 6] = [
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(120, 120, 120),
    RGBColor(230, 159, 0),
];

/// The picture as SVG; `None` without warm queries.
pub(crate) fn draw(run: &Run) -> Result<Option<String>, BenchError> {
    let timings: Vec<&Timing> = run.timings.iter().filter(|t| t.suite == SUITE).collect();
    let mut cases: Vec<&str> = Vec::new();
    for timing in &timings {
        if !cases.contains(&timing.case.as_str()) {
            cases.push(&timing.case);
        }
    }
    let medians = timings.iter().map(|timing| timing.wall().median);
    let (least, most) = medians.fold((f64::INFINITY, 0.0_f64), |(least, most), median| {
        (least.min(median), most.max(median))
    });
    if cases.is_empty() || !(least > 0.0 && most.is_finite()) {
        return Ok(None);
    }
    let mut svg = String::new();
    let height = MARGIN_HEIGHT + ROW_HEIGHT * u32::try_from(cases.len()).unwrap_or(u32::MAX / 64);
    let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
    paint(&area, run, &timings, &cases, (least / 1.5, most * 1.5))
        .map_err(|error| BenchError::Input(format!("the plot does not draw: {error}")))?;
    drop(area);
    Ok(Some(svg))
}

type Canvas<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn paint(
    area: &Canvas<'_>,
    run: &Run,
    timings: &[&Timing],
    cases: &[&str],
    (from, to): (f64, f64),
) -> Result<(), Box<dyn std::error::Error>> {
    area.fill(&WHITE)?;
    let rows = i32::try_from(cases.len())?;
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .caption(
            format!("{} spans, wall time of a warm query", run.settings.spans),
            ("sans-serif", 18),
        )
        .x_label_area_size(40)
        .y_label_area_size(170)
        .build_cartesian_2d((from..to).log_scale(), (0..rows).into_segmented())?;
    chart
        .configure_mesh()
        .x_desc("ms, logarithmic")
        .y_labels(cases.len() + 1)
        .y_label_formatter(&|row| match row {
            // The first query stands at the top.
            SegmentValue::CenterOf(row) => usize::try_from(rows - 1 - row)
                .ok()
                .and_then(|row| cases.get(row))
                .map_or_else(String::new, |case| (*case).to_owned()),
            _ => String::new(),
        })
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 225, 225))
        .draw()?;
    for (engine, colour) in run.engines.iter().zip(COLOURS.into_iter().cycle()) {
        let own = timings.iter().filter(|timing| timing.engine == *engine);
        let dots = own.filter_map(|timing| {
            let row = cases.iter().position(|case| *case == timing.case)?;
            let row = rows - 1 - i32::try_from(row).ok()?;
            let at = (timing.wall().median, SegmentValue::CenterOf(row));
            Some(Circle::new(at, 5, colour.filled()))
        });
        chart
            .draw_series(dots)?
            .label(engine)
            .legend(move |(x, y)| Circle::new((x + 8, y), 5, colour.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.9))
        .border_style(RGBColor(200, 200, 200))
        .draw()?;
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Settings;

    #[test]
    fn every_engine_is_in_the_picture() {
        let mut run = Run::start(Settings::default());
        run.engines = vec!["Spandrel".to_owned(), "DuckDB 1".to_owned()];
        for (engine, wall) in [("Spandrel", 2.0), ("DuckDB 1", 6.0)] {
            let mut timing = Timing::new(SUITE, "count", "{}", engine, "SQL");
            timing.wall_ms = vec![wall];
            run.timings.push(timing);
        }
        let svg = draw(&run).unwrap().unwrap();
        for text in ["Spandrel", "DuckDB 1", "count"] {
            assert!(svg.contains(text), "{text}");
        }
        assert_eq!(draw(&Run::start(Settings::default())).unwrap(), None);
    }
}
