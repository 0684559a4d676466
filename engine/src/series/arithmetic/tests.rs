use super::*;
use crate::series::LabelValue;

const GRID: Grid = Grid {
    start_ns: 0,
    step_ns: 1_000_000_000,
    intervals: 3,
};
const MISSING: f64 = f64::NAN;
const INFINITE: f64 = f64::INFINITY;

fn series<const L: usize>(labels: [(&str, LabelValue); L], values: [f64; 3]) -> Series {
    let label = |(name, value): (&str, LabelValue)| Label {
        name: name.into(),
        value,
    };
    Series {
        labels: labels.into_iter().map(label).collect(),
        values: values.to_vec().into(),
    }
}

fn text(value: &str) -> LabelValue {
    LabelValue::String(value.into())
}

/// What an ungrouped `rate()` makes.
fn rate(values: [f64; 3]) -> Vec<Series> {
    vec![series([(NAME, text("rate"))], values)]
}

/// What the query makes of series for its operands.
fn answer(query: &str, operands: Vec<Vec<Series>>) -> Result<Vec<Series>, EngineError> {
    let query = traceql::compile(query).expect("the query compiles");
    let plan = SeriesPlan::analyse(&query).expect("the query can be planned");
    assert_eq!(plan.operands().len(), operands.len());
    let set = |series| SeriesSet { grid: GRID, series };
    let set = plan.combine(GRID, operands.into_iter().map(set).collect())?;
    Ok(set.series)
}

/// Labels and values, with missing points as `None`.
fn shown(series: &[Series]) -> Vec<(String, Vec<Option<f64>>)> {
    let labels = |series: &Series| {
        let labels = series.labels.iter();
        labels
            .map(|label| format!("{}={}", label.name, label.value.to_text()))
            .collect::<Vec<_>>()
            .join(",")
    };
    let values = |series: &Series| {
        let values = series.values.iter();
        values
            .map(|value| (!value.is_nan()).then_some(value))
            .collect()
    };
    series
        .iter()
        .map(|series| (labels(series), values(series)))
        .collect()
}

#[track_caller]
fn check(query: &str, operands: Vec<Vec<Series>>, expected: &[(&str, [f64; 3])]) {
    let expected: Vec<Series> = expected
        .iter()
        .map(|(labels, values)| {
            let labels = labels.split(',').filter_map(|label| label.split_once('='));
            Series {
                labels: labels
                    .map(|(name, value)| Label {
                        name: name.into(),
                        value: text(value),
                    })
                    .collect(),
                values: values.to_vec().into(),
            }
        })
        .collect();
    let found = answer(query, operands).expect("the series can be combined");
    assert_eq!(shown(&found), shown(&expected), "{query}");
}

const A: &str = "({ .a } | rate())";
const B: &str = "({ .b } | rate())";
const BY: &str = "({ } | rate() by(name))";

#[test]
fn numbers_apply_to_every_point() {
    let values = [1.0, 4.0, MISSING];
    for (query, expected) in [
        (format!("{A} + 1"), [2.0, 5.0, MISSING]),
        (format!("1 - {A}"), [0.0, -3.0, MISSING]),
        (format!("{A} * 100"), [100.0, 400.0, MISSING]),
        (format!("2 / {A}"), [2.0, 0.5, MISSING]),
        (format!("{A} % 3"), [1.0, 1.0, MISSING]),
        (format!("{A} ^ 2"), [1.0, 16.0, MISSING]),
        (format!("2 ^ {A}"), [2.0, 16.0, MISSING]),
        (format!("-{A}"), [-1.0, -4.0, MISSING]),
        (format!("-{A} ^ 2 + 1"), [0.0, -15.0, MISSING]),
        (format!("2 ^ 3 ^ 0 * {A}"), [2.0, 8.0, MISSING]),
        (format!("7 / 2 * {A}"), [3.5, 14.0, MISSING]),
        (format!("{A} / 500ms"), [2.0, 8.0, MISSING]),
        (format!("{A} / 0"), [INFINITE, INFINITE, MISSING]),
        (format!("{A} * (1 / 0)"), [INFINITE, INFINITE, MISSING]),
    ] {
        check(&query, vec![rate(values)], &[("", expected)]);
    }
}

/// `NaN ^ 0` and `1 ^ NaN` are 1 to IEEE 754.
#[test]
fn a_missing_point_stays_missing() {
    let values = [MISSING, 2.0, MISSING];
    check(
        &format!("{A} ^ 0"),
        vec![rate(values)],
        &[("", [MISSING, 1.0, MISSING])],
    );
    check(
        &format!("1 ^ {A}"),
        vec![rate(values)],
        &[("", [MISSING, 1.0, MISSING])],
    );
    check(
        &format!("{A} ^ {B}"),
        vec![rate(values), rate([1.0, MISSING, 0.0])],
        &[],
    );
}

#[test]
fn division_by_zero() {
    let ratio = format!("{A} / {B}");
    let operands = vec![rate([1.0, 0.0, -1.0]), rate([0.0, 0.0, 0.0])];
    check(&ratio, operands, &[("", [INFINITE, MISSING, -INFINITE])]);
    let operands = vec![rate([0.0; 3]), rate([0.0; 3])];
    check(&ratio, operands, &[]);
}

fn by_name(rows: &[(&str, [f64; 3])]) -> Vec<Series> {
    rows.iter()
        .map(|(name, values)| series([("name", text(name))], *values))
        .collect()
}

#[test]
fn equal_labels_are_partners() {
    let lhs = by_name(&[
        ("a", [1.0, 2.0, 3.0]),
        ("b", [4.0, 5.0, 6.0]),
        ("c", [7.0; 3]),
    ]);
    let rhs = by_name(&[
        ("d", [1.0; 3]),
        ("b", [2.0, MISSING, 4.0]),
        ("a", [10.0; 3]),
    ]);
    check(
        &format!("{BY} - {BY}"),
        vec![lhs.clone(), rhs.clone()],
        &[
            ("name=a", [-9.0, -8.0, -7.0]),
            ("name=b", [2.0, MISSING, 2.0]),
        ],
    );
    check(&format!("{BY} - {BY}"), vec![lhs, Vec::new()], &[]);
    check(&format!("{BY} - {BY}"), vec![Vec::new(), rhs], &[]);
}

#[test]
fn the_order_of_labels_is_of_no_matter_but_their_types_are() {
    let query = "({ } | rate() by(.x, .y)) + ({ } | rate() by(.y, .x))";
    let lhs = vec![
        series(
            [(".x", LabelValue::Int(5)), (".y", text("a"))],
            [1.0, 2.0, 3.0],
        ),
        series([(".x", text("5")), (".y", text("b"))], [1.0; 3]),
    ];
    let rhs = vec![
        series([(".y", text("a")), (".x", LabelValue::Int(5))], [10.0; 3]),
        series([(".y", text("b")), (".x", LabelValue::Int(5))], [10.0; 3]),
    ];
    let found = answer(query, vec![lhs.clone(), rhs]).expect("the series can be combined");
    let expected = series(
        [(".x", LabelValue::Int(5)), (".y", text("a"))],
        [11.0, 12.0, 13.0],
    );
    assert_eq!(found, [expected]);
}

#[test]
fn a_total_goes_with_every_series() {
    let groups = by_name(&[("a", [1.0, 2.0, 3.0]), ("b", [4.0, 5.0, 6.0])]);
    let total = rate([10.0, MISSING, 0.0]);
    check(
        &format!("{BY} / {A}"),
        vec![groups.clone(), total.clone()],
        &[
            ("name=a", [0.1, MISSING, INFINITE]),
            ("name=b", [0.4, MISSING, INFINITE]),
        ],
    );
    check(
        &format!("{A} - {BY}"),
        vec![total, groups.clone()],
        &[
            ("name=a", [9.0, MISSING, -3.0]),
            ("name=b", [6.0, MISSING, -6.0]),
        ],
    );
    // One without values at all has no partner for anything.
    check(&format!("{BY} / {A}"), vec![groups, Vec::new()], &[]);
}

#[test]
fn a_quantile_has_a_label_of_its_own() {
    let query = "({ } | quantile_over_time(duration, .5, .9)) / ({ } | avg_over_time(duration))";
    let p = |q, value| series([("p", LabelValue::Float(q))], [value; 3]);
    let average = vec![series([(NAME, text("avg_over_time"))], [2.0; 3])];
    let found = answer(query, vec![vec![p(0.5, 2.0), p(0.9, 8.0)], average]);
    assert_eq!(
        found.expect("the series can be combined"),
        [p(0.5, 1.0), p(0.9, 4.0)]
    );
}

#[test]
fn stages_narrow_what_is_computed() {
    let lhs = by_name(&[("a", [1.0, 8.0, 3.0]), ("b", [4.0, 5.0, 6.0])]);
    let rhs = by_name(&[("a", [2.0; 3]), ("b", [2.0; 3])]);
    check(
        &format!("{BY} / {BY} > 2 | topk(1)"),
        vec![lhs.clone(), rhs.clone()],
        &[
            ("name=a", [MISSING, 4.0, MISSING]),
            ("name=b", [MISSING, MISSING, 3.0]),
        ],
    );
    check(
        &format!("(({BY} | topk(1)) - 1) * 10"),
        vec![lhs],
        &[
            ("name=a", [MISSING, 70.0, MISSING]),
            ("name=b", [30.0, MISSING, 50.0]),
        ],
    );
}

/// Stages keep the name, as they do without arithmetic; computing gives something else.
#[test]
fn a_query_in_parentheses_is_the_query() {
    let named = |values| series([(NAME, text("rate"))], values);
    let operand = || vec![rate([1.0, 2.0, 3.0])];
    let found = |query: String| answer(&query, operand()).expect("the series can be combined");
    assert_eq!(found(A.to_owned()), [named([1.0, 2.0, 3.0])]);
    assert_eq!(
        shown(&found(format!("{A} > 1"))),
        shown(&[named([MISSING, 2.0, 3.0])])
    );
    assert_eq!(found("{ } | rate()".to_owned()), [named([1.0, 2.0, 3.0])]);
}

#[test]
fn series_of_equal_labels_are_refused() {
    let twice = by_name(&[("a", [1.0; 3]), ("a", [2.0; 3])]);
    let once = by_name(&[("a", [1.0; 3])]);
    for operands in [vec![twice.clone(), once.clone()], vec![once, twice]] {
        let error = answer(&format!("{BY} / {BY}"), operands).expect_err("ambiguous partners");
        assert_eq!(
            error.to_string(),
            "cannot compute with several series of the same labels in one operand: name=\"a\""
        );
    }
}

#[test]
fn operands_keep_the_order_of_the_text() {
    let query = format!("({A} - {B}) / ({B} - ({A} ^ 2))");
    let operands = [4.0, 1.0, 10.0, 2.0].map(|value| rate([value; 3])).to_vec();
    check(&query, operands, &[("", [0.5; 3])]);
}

#[test]
fn hints_are_for_every_operand() {
    let query = "({ } | quantile_over_time(duration, .5)) / 2 with(quantile=\"log2\")";
    let query = traceql::compile(query).expect("the query compiles");
    let plan = SeriesPlan::analyse(&query).expect("the query can be planned");
    assert!(plan.operands().iter().all(|operand| operand.log2_quantiles));
}
