//! One request through the shop, from the service it enters to all that it causes.

use std::sync::Arc;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use storage::ids::{SpanId, TraceId};
use storage::model::{AnyValue, Attribute, Link, Span};

use super::catalog::{Protocol, SERVICES, Service, Store};
use super::keys::{Keys, event, int, string, text};
use super::resources::Library;
use super::sampling::{nanoseconds, skewed, zipf};
use super::vocabulary::{
    EXCEPTIONS, INTERNAL_OPERATIONS, MONGO_STATEMENTS, POSTGRES_STATEMENTS, REDIS_STATEMENTS,
    TOPIC, USER_AGENTS,
};

const INTERNAL: i32 = 1;
const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const PRODUCER: i32 = 4;
const CONSUMER: i32 = 5;
const ERROR: i32 = 2;

/// Spans of one pod and library.
pub(super) type Slot = Vec<Span>;

/// Where the spans of a story go: a slot for each library of each pod of each service.
pub(super) trait Recorder {
    fn slot(&mut self, service: usize, pod: u32, library: Library) -> &mut Slot;
}

/// What tells one trace from another.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) start_ns: i64,
    /// How many spans it causes.
    pub(super) spans: u32,
    /// A service that fails often at this time.
    pub(super) ailing_service: Option<usize>,
    /// How many users there are.
    pub(super) users: u32,
}

pub(super) struct Story<'a, R> {
    rng: &'a mut ChaCha8Rng,
    keys: &'a Keys,
    recorder: &'a mut R,
    trace_id: TraceId,
    user: u32,
    ailing_service: Option<usize>,
}

/// A span that was under way and is over.
struct Outcome {
    end_ns: i64,
    failed: bool,
}

/// A call as its receiver sees it.
#[derive(Clone, Copy)]
struct Incoming {
    service: usize,
    operation: &'static str,
    parent: Option<SpanId>,
}

/// Who calls: a span of a pod.
#[derive(Clone, Copy)]
struct Caller {
    service: usize,
    pod: u32,
    span: SpanId,
}

impl<'a, R: Recorder> Story<'a, R> {
    /// Records all spans of a request.
    pub(super) fn tell(
        rng: &'a mut ChaCha8Rng,
        keys: &'a Keys,
        recorder: &'a mut R,
        request: &Request,
    ) {
        let trace_id = TraceId(rng.random());
        let user = zipf(rng, request.users);
        // Most traces enter at the edge; some are jobs that a service starts by itself.
        let entry = if rng.random_bool(0.93) {
            0
        } else {
            rng.random_range(1..SERVICES.len())
        };
        let mut story = Self {
            rng,
            keys,
            recorder,
            trace_id,
            user,
            ailing_service: request.ailing_service,
        };
        let incoming = story.incoming(entry, None);
        story.serve(incoming, request.start_ns, request.spans);
    }

    /// A server span, and what it causes; `budget` spans in all.
    fn serve(&mut self, incoming: Incoming, start_ns: i64, budget: u32) -> Outcome {
        let index = incoming.service;
        let service = &SERVICES[index];
        let me = Caller {
            service: index,
            pod: self.rng.random_range(0..service.pods),
            span: self.span_id(),
        };
        let own_ns = nanoseconds(self.rng, service.median_ns, 1.0);
        let mut now_ns = start_ns + own_ns / 3;
        let mut end_ns = now_ns;
        let error_rate = if self.ailing_service == Some(index) {
            0.3
        } else {
            service.error_rate
        };
        let mut failed = self.rng.random_bool(error_rate);
        let broken_by_itself = failed;
        let mut left = budget - 1;
        while left > 0 {
            let outcome = if left >= 2 && !service.calls.is_empty() && self.rng.random_bool(0.6) {
                let share = 2 + self
                    .rng
                    .random_range(0..=left - 2)
                    .min(self.rng.random_range(0..=left - 2));
                left -= share;
                let callee = *skewed(self.rng, service.calls);
                self.call(me, callee, now_ns, share)
            } else {
                left -= 1;
                match service.store {
                    Some(store) if self.rng.random_bool(0.8) => self.query(me, store, now_ns),
                    _ => self.compute(me, now_ns),
                }
            };
            // An error of a callee mostly becomes one's own.
            failed |= outcome.failed && self.rng.random_bool(0.85);
            end_ns = end_ns.max(outcome.end_ns);
            // Some calls are made together, the others one after another.
            if self.rng.random_bool(0.7) {
                now_ns = outcome.end_ns + own_ns / 20;
            }
        }
        end_ns += own_ns - own_ns / 3;
        let mut span = self.span(
            me.span,
            incoming.parent,
            if service.protocol == Protocol::Messages {
                CONSUMER
            } else {
                SERVER
            },
        );
        self.describe_server(&mut span, service, incoming.operation, failed);
        if broken_by_itself {
            self.add_exception(&mut span, end_ns);
        }
        self.record(me, Library::Calls, span, start_ns, end_ns, failed);
        Outcome { end_ns, failed }
    }

    /// A client span with the server span it leads to; `budget` spans in all, at least two.
    fn call(&mut self, caller: Caller, callee: usize, start_ns: i64, budget: u32) -> Outcome {
        let service = &SERVICES[callee];
        let id = self.span_id();
        let network_ns = nanoseconds(self.rng, 120_000.0, 0.8);
        if service.protocol == Protocol::Messages {
            return self.publish(caller, callee, start_ns, budget);
        }
        let incoming = self.incoming(callee, Some(id));
        let served = self.serve(incoming, start_ns + network_ns, budget - 1);
        let end_ns = served.end_ns + network_ns;
        let mut span = self.span(id, Some(caller.span), CLIENT);
        let operation = incoming.operation;
        match service.protocol {
            Protocol::Grpc => {
                span.name = format!("shop.{}/{operation}", service.name);
                span.attributes = vec![
                    text(&self.keys.rpc_system, "grpc"),
                    text(&self.keys.rpc_method, operation),
                    int(&self.keys.rpc_status, if served.failed { 14 } else { 0 }),
                    text(&self.keys.server, service.name),
                    int(&self.keys.peer_port, 8080),
                ];
            }
            _ => {
                let (method, _) = operation.split_once(' ').unwrap_or(("GET", ""));
                method.clone_into(&mut span.name);
                span.attributes = vec![
                    text(&self.keys.method, method),
                    int(
                        &self.keys.http_status,
                        if served.failed { 500 } else { 200 },
                    ),
                    text(&self.keys.server, service.name),
                    int(&self.keys.peer_port, 443),
                ];
            }
        }
        if served.failed && self.rng.random_bool(0.3) {
            self.add_exception(&mut span, end_ns);
        }
        self.record(
            caller,
            Library::Calls,
            span,
            start_ns,
            end_ns,
            served.failed,
        );
        Outcome {
            end_ns,
            failed: served.failed,
        }
    }

    /// A producer span; the consumer starts when it is over, and nobody waits for that.
    fn publish(&mut self, caller: Caller, consumer: usize, start_ns: i64, budget: u32) -> Outcome {
        let id = self.span_id();
        let end_ns = start_ns + nanoseconds(self.rng, 300_000.0, 0.6);
        let delay_ns = nanoseconds(self.rng, 4_000_000.0, 1.2);
        let incoming = self.incoming(consumer, Some(id));
        self.serve(incoming, end_ns + delay_ns, budget - 1);
        let mut span = self.span(id, Some(caller.span), PRODUCER);
        span.name = format!("publish {TOPIC}");
        span.attributes = vec![text(&self.keys.topic, TOPIC)];
        self.record(caller, Library::Calls, span, start_ns, end_ns, false);
        Outcome {
            end_ns,
            failed: false,
        }
    }

    fn query(&mut self, caller: Caller, store: Store, start_ns: i64) -> Outcome {
        let (system, table, statements, median_ns) = match store {
            Store::Postgres(table) => ("postgresql", table, POSTGRES_STATEMENTS, 900_000.0),
            Store::Mongo(table) => ("mongodb", table, MONGO_STATEMENTS, 1_400_000.0),
            Store::Redis => ("redis", "", REDIS_STATEMENTS, 150_000.0),
        };
        let statement = skewed(self.rng, statements).replace('%', table);
        let mut end_ns = start_ns + nanoseconds(self.rng, median_ns, 1.1);
        let failed = self.rng.random_bool(0.0008);
        let id = self.span_id();
        let mut span = self.span(id, Some(caller.span), CLIENT);
        let operation = statement
            .split(['"', ' '])
            .find(|word| word.len() > 2)
            .unwrap_or(system)
            .to_owned();
        span.name.clone_from(&operation);
        span.attributes = vec![
            text(&self.keys.db_system, system),
            text(&self.keys.db_operation, &operation),
            string(&self.keys.db_statement, statement),
            string(
                &self.keys.server,
                format!("{system}-{}.shop.internal", caller.pod % 3),
            ),
        ];
        if store == Store::Redis {
            span.attributes.push(Attribute {
                key: Arc::clone(&self.keys.cache_hit),
                value: AnyValue::Bool(self.rng.random_bool(0.85)),
            });
        } else {
            span.attributes.push(text(&self.keys.db_name, table));
            span.attributes
                .push(int(&self.keys.db_rows, i64::from(zipf(self.rng, 500))));
        }
        if self.rng.random_bool(0.01) {
            // A second attempt, after the first took too long.
            let time_ns = end_ns;
            end_ns += 5_000_000;
            span.events
                .push(event("retry", time_ns, vec![int(&self.keys.attempt, 2)]));
        }
        if failed {
            self.add_exception(&mut span, end_ns);
        }
        self.record(caller, Library::Store, span, start_ns, end_ns, failed);
        Outcome { end_ns, failed }
    }

    fn compute(&mut self, caller: Caller, start_ns: i64) -> Outcome {
        let end_ns = start_ns + nanoseconds(self.rng, 60_000.0, 1.3);
        let id = self.span_id();
        let mut span = self.span(id, Some(caller.span), INTERNAL);
        (*skewed(self.rng, INTERNAL_OPERATIONS)).clone_into(&mut span.name);
        span.attributes = vec![
            int(&self.keys.items, i64::from(zipf(self.rng, 40))),
            string(
                &self.keys.function,
                format!(
                    "shop.{}.handlers.{}",
                    SERVICES[caller.service].name, span.name
                ),
            ),
            int(&self.keys.thread, i64::from(self.rng.random_range(1..200))),
        ];
        if self.rng.random_bool(0.2) {
            let score = self.rng.random::<f64>();
            span.attributes.push(Attribute {
                key: Arc::clone(&self.keys.score),
                value: AnyValue::Double(score),
            });
        }
        self.record(caller, Library::Own, span, start_ns, end_ns, false);
        Outcome {
            end_ns,
            failed: false,
        }
    }

    fn describe_server(
        &mut self,
        span: &mut Span,
        service: &Service,
        operation: &str,
        failed: bool,
    ) {
        match service.protocol {
            Protocol::Http => {
                let (method, route) = operation.split_once(' ').unwrap_or(("GET", operation));
                operation.clone_into(&mut span.name);
                let status = match (failed, self.rng.random_bool(0.02)) {
                    (true, _) => 500,
                    (false, true) => 404,
                    (false, false) => 200,
                };
                let user_agent = *skewed(self.rng, USER_AGENTS);
                let path = route.replace(":id", &zipf(self.rng, 100_000).to_string());
                span.attributes = vec![
                    text(&self.keys.method, method),
                    text(&self.keys.route, route),
                    string(&self.keys.path, path),
                    int(&self.keys.http_status, status),
                    text(&self.keys.user_agent, user_agent),
                ];
            }
            Protocol::Grpc => {
                span.name = format!("shop.{}/{operation}", service.name);
                span.attributes = vec![
                    text(&self.keys.rpc_system, "grpc"),
                    text(&self.keys.rpc_service, service.name),
                    text(&self.keys.rpc_method, operation),
                    int(&self.keys.rpc_status, if failed { 13 } else { 0 }),
                ];
            }
            Protocol::Messages => {
                operation.clone_into(&mut span.name);
                let offset = i64::from(self.rng.random::<u32>());
                span.attributes = vec![
                    text(&self.keys.topic, TOPIC),
                    int(&self.keys.offset, offset),
                ];
                if let Some(span_id) = span.parent_span_id {
                    span.links = vec![Link {
                        trace_id: self.trace_id,
                        span_id,
                        ..Link::default()
                    }];
                }
            }
        }
        let address = format!(
            "10.0.{}.{}",
            self.rng.random_range(0..40),
            self.rng.random_range(1..250)
        );
        span.attributes
            .push(string(&self.keys.peer_address, address));
        if service.knows_user {
            // A user keeps one session; the digits only have to look random.
            let session = u64::from(self.user + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            span.attributes
                .push(string(&self.keys.user, format!("user-{:06}", self.user)));
            span.attributes
                .push(string(&self.keys.session, format!("{session:016x}")));
        }
    }

    fn add_exception(&mut self, span: &mut Span, time_ns: i64) {
        let (kind, message, frames) = *skewed(self.rng, EXCEPTIONS);
        let mut trace = format!("{kind}: {message}");
        // Frames of the framework below those of the code at fault.
        for depth in 0..self.rng.random_range(4..12) {
            trace.push_str("\n\tat ");
            trace.push_str(frames[depth % frames.len()]);
        }
        message.clone_into(&mut span.status_message);
        let attributes = vec![
            text(&self.keys.exception_type, kind),
            text(&self.keys.exception_message, message),
            string(&self.keys.exception_stacktrace, trace),
        ];
        span.events.push(event("exception", time_ns, attributes));
    }

    fn span(&self, span_id: SpanId, parent_span_id: Option<SpanId>, kind: i32) -> Span {
        Span {
            trace_id: self.trace_id,
            span_id,
            parent_span_id,
            kind,
            flags: 1,
            ..Span::default()
        }
    }

    fn record(
        &mut self,
        by: Caller,
        library: Library,
        mut span: Span,
        start_ns: i64,
        end_ns: i64,
        failed: bool,
    ) {
        span.start_ns = start_ns;
        span.end_ns = end_ns;
        span.status_code = if failed { ERROR } else { 0 };
        self.recorder.slot(by.service, by.pod, library).push(span);
    }

    fn incoming(&mut self, service: usize, parent: Option<SpanId>) -> Incoming {
        let operation = *skewed(self.rng, SERVICES[service].operations);
        Incoming {
            service,
            operation,
            parent,
        }
    }

    fn span_id(&mut self) -> SpanId {
        SpanId(self.rng.random())
    }
}
