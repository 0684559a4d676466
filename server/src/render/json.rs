//! Series as JSON, in the shape of a Prometheus answer.

use serde_json::{Map, Value, json};

use super::drawing::{Drawing, Line};

/// `{"resultType":"matrix","result":[{"metric":{…},"values":[[t,"v"],…]}]}`, or a vector.
#[must_use]
pub fn json(drawing: &Drawing) -> String {
    let (kind, field) = if drawing.is_instant {
        ("vector", "value")
    } else {
        ("matrix", "values")
    };
    let result: Vec<Value> = drawing
        .lines
        .iter()
        .map(|line| series(line, field, drawing.is_instant))
        .collect();
    format!("{}\n", json!({"resultType": kind, "result": result}))
}

fn series(line: &Line, field: &str, is_instant: bool) -> Value {
    let metric: Map<String, Value> = line
        .labels
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let mut samples: Vec<Value> = line
        .points
        .iter()
        .map(|(time, value)| json!([seconds(*time), value.to_string()]))
        .collect();
    let samples = if is_instant {
        samples.pop().unwrap_or(Value::Null)
    } else {
        Value::Array(samples)
    };
    json!({"metric": metric, field: samples})
}

/// Seconds to the millisecond; a whole number where it is one.
fn seconds(ns: i64) -> Value {
    let millis = ns.div_euclid(1_000_000);
    if millis % 1000 == 0 {
        return json!(millis / 1000);
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds since 1970 stay far below 2^53"
    )]
    let seconds = millis as f64 / 1000.0;
    json!(seconds)
}

#[cfg(test)]
mod tests {
    use super::super::drawing::samples::two_lines;
    use super::*;

    #[test]
    fn shapes_are_those_of_prometheus() {
        let mut drawing = two_lines();
        drawing.lines.truncate(1);
        drawing.lines[0].points.truncate(2);
        assert_eq!(
            json(&drawing),
            "{\"resultType\":\"matrix\",\"result\":[{\"metric\":{\"resource.service.name\":\"cart\"},\"values\":[[1734093420,\"0\"],[1734093480,\"10\"]]}]}\n"
        );
        drawing.is_instant = true;
        drawing.lines[0].points[1].0 += 250_000_000;
        assert!(json(&drawing).ends_with("\"value\":[1734093480.25,\"10\"]}]}\n"));
    }
}
