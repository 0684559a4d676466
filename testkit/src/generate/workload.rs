//! A stream of traffic as it would come from the collectors of a shop.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use storage::model::{InstrumentationScope, SpanGroup};
use storage::otlp::to_resource_spans;

use super::catalog::SERVICES;
use super::keys::Keys;
use super::resources::{LIBRARIES, Library, Pod, pods, scopes};
use super::sampling::log_normal;
use super::story::{Recorder, Request, Slot, Story};

/// Longest trace.
const MAX_TRACE_SPANS: u32 = 200;
/// The service that has an incident, and when, as parts of the whole time.
const AILING_SERVICE: usize = 13;
const INCIDENT: std::ops::Range<f64> = 0.60..0.63;

/// How much traffic, and when.
///
/// Requests arrive in waves over the time, in order of their start; whole traces come in one batch,
/// except that the last one ends where the number of spans is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Everything else being equal, the same seed gives the same spans.
    pub seed: u64,
    /// Number of spans in all.
    pub spans: u64,
    /// Start of the first requests, epoch ns.
    pub start_ns: i64,
    /// Over how long the requests start.
    pub length_ns: i64,
    /// Number of users; a few of them cause most of the traffic.
    pub users: u32,
    /// Spans per batch, about.
    pub batch_spans: usize,
}

impl Workload {
    /// Six hours of traffic of 200,000 users.
    #[must_use]
    pub fn new(seed: u64, spans: u64) -> Self {
        Self {
            seed,
            spans,
            // 2026-01-05T06:00:00Z
            start_ns: 1_767_592_800_000_000_000,
            length_ns: 6 * 3600 * 1_000_000_000,
            users: 200_000,
            batch_spans: 8192,
        }
    }

    /// The batches, made one at a time.
    #[must_use]
    pub fn batches(&self) -> Batches {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let slots = Slots::new(&mut rng);
        Batches {
            workload: self.clone(),
            rng,
            keys: Keys::new(),
            slots,
            recorded: 0,
        }
    }
}

/// The batches of a [`Workload`]: spans grouped by pod and library, as collectors send them.
#[derive(Debug)]
pub struct Batches {
    workload: Workload,
    rng: ChaCha8Rng,
    keys: Keys,
    slots: Slots,
    recorded: u64,
}

impl Iterator for Batches {
    type Item = Vec<SpanGroup>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut in_batch = 0;
        while in_batch < self.workload.batch_spans && self.recorded < self.workload.spans {
            let request = self.next_request();
            Story::tell(&mut self.rng, &self.keys, &mut self.slots, &request);
            self.recorded += u64::from(request.spans);
            in_batch += request.spans as usize;
        }
        (in_batch > 0).then(|| self.slots.take())
    }
}

impl Batches {
    fn next_request(&mut self) -> Request {
        let workload = &self.workload;
        let left = workload.spans - self.recorded;
        let progress = self.recorded as f64 / workload.spans as f64;
        // Three waves; the slope stays positive, so time does not run backwards.
        let waves = progress + 0.03 * (progress * 3.0 * std::f64::consts::TAU).sin();
        let jitter_ns = self.rng.random_range(0..20_000_000);
        Request {
            start_ns: workload.start_ns + (waves * workload.length_ns as f64) as i64 + jitter_ns,
            spans: trace_spans(&mut self.rng).min(u32::try_from(left).unwrap_or(u32::MAX)),
            ailing_service: INCIDENT.contains(&progress).then_some(AILING_SERVICE),
            users: workload.users,
        }
    }
}

/// How many spans a trace has: many have one or few, some hundreds.
fn trace_spans(rng: &mut ChaCha8Rng) -> u32 {
    if rng.random_bool(0.12) {
        return 1;
    }
    (log_normal(rng, 14.0, 0.9) as u32).clamp(1, MAX_TRACE_SPANS)
}

/// Spans waiting to become groups: a slot for every library of every pod.
#[derive(Debug)]
struct Slots {
    pods: Vec<Vec<Pod>>,
    scopes: Vec<[Arc<InstrumentationScope>; 3]>,
    /// Index of the first slot of each service.
    first_slot: Vec<usize>,
    slots: Vec<Slot>,
}

impl Slots {
    fn new(rng: &mut ChaCha8Rng) -> Self {
        let pods = pods(rng);
        let mut first_slot = Vec::new();
        let mut slot_count = 0;
        for pods in &pods {
            first_slot.push(slot_count);
            slot_count += pods.len() * LIBRARIES.len();
        }
        let slots = (0..slot_count).map(|_| Slot::new()).collect();
        Self {
            pods,
            scopes: SERVICES.iter().map(scopes).collect(),
            first_slot,
            slots,
        }
    }

    /// The groups recorded so far; leaves nothing behind.
    fn take(&mut self) -> Vec<SpanGroup> {
        let pods = self
            .pods
            .iter()
            .zip(&self.scopes)
            .flat_map(|(pods, scopes)| pods.iter().map(move |pod| (pod, scopes)));
        let sources =
            pods.flat_map(|(pod, scopes)| scopes.iter().map(move |scope| (&pod.resource, scope)));
        sources
            .zip(&mut self.slots)
            .filter(|(_, slot)| !slot.is_empty())
            .map(|((resource, scope), slot)| SpanGroup {
                resource: Arc::clone(resource),
                scope: Arc::clone(scope),
                spans: std::mem::take(slot),
            })
            .collect()
    }
}

impl Recorder for Slots {
    fn slot(&mut self, service: usize, pod: u32, library: Library) -> &mut Slot {
        &mut self.slots
            [self.first_slot[service] + pod as usize * LIBRARIES.len() + library as usize]
    }
}

/// A batch as the request that carries it.
#[must_use]
pub fn request(groups: &[SpanGroup]) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: to_resource_spans(groups),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use prost::Message as _;

    use super::*;

    #[test]
    fn is_what_it_says() {
        let workload = Workload::new(7, 50_000);
        let batches: Vec<Vec<SpanGroup>> = workload.batches().collect();
        let groups: Vec<&SpanGroup> = batches.iter().flatten().collect();
        let spans: Vec<_> = groups.iter().flat_map(|group| &group.spans).collect();
        assert_eq!(spans.len(), 50_000);

        let mut by_trace: HashMap<_, u32> = HashMap::new();
        for span in &spans {
            *by_trace.entry(span.trace_id).or_default() += 1;
            assert!(span.end_ns >= span.start_ns);
            assert!(
                (workload.start_ns..workload.start_ns + 2 * workload.length_ns)
                    .contains(&span.start_ns)
            );
        }
        assert!(by_trace.values().all(|&spans| spans <= MAX_TRACE_SPANS));
        assert!(
            by_trace.values().any(|&spans| spans == 1)
                && by_trace.values().any(|&spans| spans > 80)
        );
        assert_eq!(
            spans
                .iter()
                .filter(|span| span.parent_span_id.is_none())
                .count(),
            by_trace.len()
        );
        assert_eq!(
            spans
                .iter()
                .map(|span| span.span_id)
                .collect::<HashSet<_>>()
                .len(),
            spans.len()
        );
        let services: HashSet<_> = groups.iter().map(|group| &group.scope.name).collect();
        assert!(services.len() >= 24);
        let errors = spans.iter().filter(|span| span.status_code == 2).count();
        assert!((300..5000).contains(&errors), "{errors} errors");
    }

    #[test]
    fn spans_have_the_size_of_real_ones() {
        let bytes: usize = Workload::new(1, 100_000)
            .batches()
            .map(|groups| request(&groups).encoded_len())
            .sum();
        let per_span = bytes / 100_000;
        assert!((240..300).contains(&per_span), "{per_span} bytes per span");
    }

    #[test]
    fn one_seed_one_stream() {
        let batch = |seed| Workload::new(seed, 1000).batches().next();
        assert_eq!(batch(1), batch(1));
        assert_ne!(batch(1), batch(2));
    }
}
