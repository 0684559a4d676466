//! Small traces that break assumptions.
//!
//! Values come from small pools, so that conditions hit and groups have several members. Two things
//! are left out because their meaning depends on the order in which spans are stored: roots of one
//! trace with different names, and parents that cannot be told apart. So are empty arrays. NaN, which engines may order
//! as they like, appears under the key `nan` only.

mod shape;
mod span;
mod value;
mod window;

use std::sync::Arc;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use storage::model::{AnyValue, InstrumentationScope, Resource, Span, SpanGroup};

use self::shape::trace;
pub(super) use self::span::{EVENT_NAMES, SPAN_NAMES};
pub(super) use self::value::STRINGS;
use self::value::attributes;
pub(super) use self::window::WINDOW_START_NS;
pub use self::window::{NASTY_STEP_NS, nasty_grid};
use super::resources::attribute;

/// Names of services.
pub(super) const SERVICE_NAMES: &[&str] = &["a", "b", "größe", ""];

/// `count` traces, in groups whose order says nothing about the traces.
#[must_use]
pub fn nasty_traces(seed: u64, count: usize) -> Vec<SpanGroup> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let resources: Vec<Arc<Resource>> = (0..5)
        .map(|number| Arc::new(resource(&mut rng, number)))
        .collect();
    let scopes: Vec<Arc<InstrumentationScope>> = (0..3)
        .map(|number| Arc::new(scope(&mut rng, number)))
        .collect();
    let mut placed: Vec<(usize, usize, Span)> = Vec::new();
    for number in 0..count {
        // Roots of one trace must not differ in service, so they come from one resource.
        let root_resource = rng.random_range(0..resources.len());
        for span in trace(&mut rng, number) {
            let is_root = span.parent_span_id.is_none();
            let resource = if is_root {
                root_resource
            } else {
                rng.random_range(0..resources.len())
            };
            placed.push((resource, rng.random_range(0..scopes.len()), span));
        }
    }
    placed.shuffle(&mut rng);
    let mut groups: Vec<SpanGroup> = Vec::new();
    while !placed.is_empty() {
        // Cut into runs, so that a resource comes in several groups.
        let run: Vec<_> = placed.drain(..placed.len().min(20)).collect();
        for (resource_index, resource) in resources.iter().enumerate() {
            for (scope_index, scope) in scopes.iter().enumerate() {
                let here = |(resource, scope, _): &&(usize, usize, Span)| {
                    (*resource, *scope) == (resource_index, scope_index)
                };
                let spans: Vec<Span> = run
                    .iter()
                    .filter(here)
                    .map(|(_, _, span)| span.clone())
                    .collect();
                if !spans.is_empty() {
                    groups.push(SpanGroup {
                        resource: Arc::clone(resource),
                        scope: Arc::clone(scope),
                        spans,
                    });
                }
            }
        }
    }
    groups
}

fn resource(rng: &mut ChaCha8Rng, number: usize) -> Resource {
    let mut resource = Resource::default();
    // One resource has no service name at all.
    if let Some(name) = SERVICE_NAMES.get(number) {
        resource.attributes.push(attribute(
            "service.name",
            AnyValue::String((*name).to_owned()),
        ));
    }
    resource.attributes.extend(attributes(rng));
    resource
}

fn scope(rng: &mut ChaCha8Rng, number: usize) -> InstrumentationScope {
    let (name, version) = [("", ""), ("lib", "1.0"), ("größe", "")][number % 3];
    let attributes = attributes(rng);
    InstrumentationScope {
        name: name.to_owned(),
        version: version.to_owned(),
        attributes,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::reference::trace::{Trace, assemble};
    use crate::reference::tree::Place;

    #[test]
    fn shapes_occur() {
        let groups = nasty_traces(1, 300);
        let traces = assemble(&groups);
        assert_eq!(traces.len(), 300);
        let count = |shape: fn(&Trace<'_>) -> bool| traces.iter().filter(|it| shape(it)).count();
        let roots = |it: &Trace<'_>| it.places.iter().filter(|place| place.parent == -1).count();
        assert!(
            traces.iter().all(|it| {
                let roots = it
                    .spans
                    .iter()
                    .filter(|span| span.span.parent_span_id.is_none());
                let names: HashSet<_> = roots
                    .map(|root| (&root.span.name, root.service_name()))
                    .collect();
                names.len() <= 1
            }),
            "the root of a trace has one name"
        );
        assert!(
            count(|it| it.places.iter().all(|place| place.left == 0)) > 10,
            "traces without numbers"
        );
        assert!(
            traces.iter().filter(|it| roots(it) > 1).count() > 10,
            "traces with several roots"
        );
        assert!(
            count(|it| it
                .spans
                .iter()
                .any(|span| span.span.end_ns < span.span.start_ns))
                > 10
        );
        // A span that names one of the trace and is not below it opens a circle.
        let opens_circle = |it: &Trace<'_>, place: &Place| {
            let named = it
                .spans
                .iter()
                .filter(|span| Some(span.span.span_id) == place.parent_id);
            place.parent_span.is_none() && named.count() == 1
        };
        let circular = traces
            .iter()
            .filter(|it| it.places.iter().any(|place| opens_circle(it, place)));
        assert!((10..100).contains(&circular.count()), "circles of parents");
        let grid = nasty_grid();
        let spans: Vec<&Span> = groups.iter().flat_map(|group| &group.spans).collect();
        assert!(
            spans
                .iter()
                .any(|span| grid.interval_of(span.start_ns).is_none())
        );
        assert!(
            spans
                .iter()
                .any(|span| span.start_ns == grid.sample_time_ns(0))
        );
        // As text, for NaN is not equal to itself.
        assert!(format!("{groups:?}") == format!("{:?}", nasty_traces(1, 300)));
    }
}
