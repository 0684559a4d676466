//! Series as CSV: one row a sample.

use super::drawing::{Drawing, label_names};
use crate::times;

/// One row a sample: its time, the labels of its series, its value.
///
/// # Errors
/// Never in practice; the writer's signature has it.
pub fn csv(drawing: &Drawing) -> Result<String, csv::Error> {
    let names = label_names(&drawing.lines);
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(
        std::iter::once("time")
            .chain(names.iter().copied())
            .chain(["value"]),
    )?;
    for line in &drawing.lines {
        for (time, value) in &line.points {
            let labels = names.iter().map(|name| line.label(name).to_owned());
            writer.write_record(
                std::iter::once(times::format(*time))
                    .chain(labels)
                    .chain([value.to_string()]),
            )?;
        }
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::drawing::samples::two_lines;
    use super::*;

    #[test]
    fn a_sample_is_a_row() {
        let text = csv(&two_lines()).expect("written to memory");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[..3],
            [
                "time,resource.service.name,value",
                "2024-12-13T12:37:00Z,cart,0",
                "2024-12-13T12:38:00Z,cart,10"
            ]
        );
        assert_eq!(lines.len(), 20);
    }
}
