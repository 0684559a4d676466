//! `compare()`: how spans of interest differ from the others.
//!
//! Every span is on one of two sides, *selection* or *baseline*. Of both sides the spans are counted
//! by the values of each attribute that they, their resource or their library have, and by some
//! intrinsics. Of each attribute and side only the commonest values are kept; the total counts them
//! all.
//!
//! Where the definition leaves room:
//!
//! - Of values that are equally common, those that come first in the order of answers are kept.
//! - Arrays, which all are one label value, are one value.

use std::collections::{BTreeMap, HashMap};

use storage::model::SpanGroup;
use traceql::ast::{Attribute, Compare, Intrinsic, Scope};

use super::attributes::SpanView;
use super::error::EvalError;
use super::grid::Grid;
use super::pipeline::Selection;
use super::selected::each_selected;
use super::series::{LabelValue, Labels, NIL, RefSeries};

/// The intrinsics that are compared.
const INTRINSICS: [Intrinsic; 9] = [
    Intrinsic::Name,
    Intrinsic::Status,
    Intrinsic::StatusMessage,
    Intrinsic::Kind,
    Intrinsic::SpanChildCount,
    Intrinsic::RootName,
    Intrinsic::RootServiceName,
    Intrinsic::InstrumentationName,
    Intrinsic::InstrumentationVersion,
];

/// Spans per interval.
type Counts = Vec<u32>;

/// The spans of one side that have one attribute.
#[derive(Debug, Default)]
struct Tally {
    total: Counts,
    by_value: HashMap<LabelValue, Counts>,
}

/// The series of a `compare()` stage.
///
/// # Errors
/// An operator fails on a span that has to be looked at.
pub fn compare(
    stage: &Compare,
    selection: &Selection,
    groups: &[SpanGroup],
    grid: Grid,
) -> Result<Vec<RefSeries>, EvalError> {
    let mut tallies: BTreeMap<(&'static str, String), Tally> = BTreeMap::new();
    each_selected(selection, groups, grid, |view, interval| {
        let side = side(stage, selection, view)?;
        for name in compared(view) {
            let value = view.value(&name);
            let Some(label) = LabelValue::of_value(&value) else {
                continue;
            };
            let tally = tallies.entry((side, name.canonical())).or_default();
            count(&mut tally.total, interval, grid);
            count(tally.by_value.entry(label).or_default(), interval, grid);
        }
        Ok(())
    })?;
    let mut series = Vec::new();
    for ((side, name), tally) in tallies {
        let mut values: Vec<(LabelValue, Counts)> = tally.by_value.into_iter().collect();
        values.sort_by_key(|(label, counts)| {
            (
                std::cmp::Reverse(counts.iter().sum::<u32>()),
                label.order_text(),
            )
        });
        values.truncate(usize::try_from(stage.top_n).unwrap_or(usize::MAX));
        let kept = values
            .into_iter()
            .map(|(label, counts)| (side.to_owned(), label, counts));
        let kept = kept.chain([(format!("{side}_total"), nil(), tally.total)]);
        series.extend(kept.map(|(meta, label, counts)| RefSeries {
            labels: labels_of(meta, name.clone(), label),
            values: counts.into_iter().map(|n| Some(f64::from(n))).collect(),
        }));
    }
    Ok(series)
}

fn count(counts: &mut Counts, interval: usize, grid: Grid) {
    counts.resize(grid.intervals, 0);
    counts[interval] += 1;
}

/// The labels of all series that count the span.
pub(crate) fn memberships(
    stage: &Compare,
    selection: &Selection,
    view: SpanView<'_>,
) -> Result<Vec<Labels>, EvalError> {
    let side = side(stage, selection, view)?;
    let mut labels = Vec::new();
    for name in compared(view) {
        if let Some(value) = LabelValue::of_value(&view.value(&name)) {
            labels.push(labels_of(side.to_owned(), name.canonical(), value));
            labels.push(labels_of(format!("{side}_total"), name.canonical(), nil()));
        }
    }
    Ok(labels)
}

fn labels_of(meta: String, name: String, value: LabelValue) -> Labels {
    vec![
        ("__meta_type".to_owned(), LabelValue::String(meta)),
        (name, value),
    ]
}

fn nil() -> LabelValue {
    LabelValue::String(NIL.to_owned())
}

fn side(
    stage: &Compare,
    selection: &Selection,
    view: SpanView<'_>,
) -> Result<&'static str, EvalError> {
    let (after_ns, until_ns) = stage.window_ns;
    let start_ns = view.span().span.start_ns;
    let in_window = stage.window_ns == (0, 0) || (after_ns < start_ns && start_ns <= until_ns);
    let satisfies = match &stage.selection {
        Some(condition) => selection.evaluator().selects(condition, view)?,
        None => true,
    };
    Ok(if in_window && satisfies {
        "selection"
    } else {
        "baseline"
    })
}

/// The attributes to compare of one span, each once. Not all of them have a value to compare.
fn compared(view: SpanView<'_>) -> Vec<Attribute> {
    let span = view.span();
    let in_scope = |scope: Scope, attributes: &[storage::model::Attribute]| -> Vec<Attribute> {
        let key = |attribute: &storage::model::Attribute| Attribute::Key {
            scope,
            of_parent: false,
            key: attribute.key.to_string(),
        };
        attributes.iter().map(key).collect()
    };
    // Is there even where the resource does not have it.
    let service_name = Attribute::Key {
        scope: Scope::Resource,
        of_parent: false,
        key: "service.name".to_owned(),
    };
    let mut names: Vec<Attribute> = INTRINSICS.map(Attribute::of_span).to_vec();
    for name in [service_name]
        .into_iter()
        .chain(in_scope(Scope::Span, &span.span.attributes))
        .chain(in_scope(Scope::Resource, &span.resource.attributes))
        .chain(in_scope(Scope::Instrumentation, &span.scope.attributes))
    {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
