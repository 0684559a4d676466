//! Attribute keys of the generated spans, and attributes made with them.

use std::sync::Arc;

use storage::model::{AnyValue, Attribute, Event};

/// Attribute keys, each allocated once for all spans.
macro_rules! keys {
    ($($field:ident: $text:literal),* $(,)?) => {
        #[derive(Debug)]
        pub(super) struct Keys { $(pub(super) $field: Arc<str>),* }

        impl Keys {
            pub(super) fn new() -> Self {
                Self { $($field: Arc::from($text)),* }
            }
        }
    };
}

keys! {
    method: "http.request.method",
    route: "http.route",
    path: "url.path",
    http_status: "http.response.status_code",
    rpc_system: "rpc.system",
    rpc_service: "rpc.service",
    rpc_method: "rpc.method",
    rpc_status: "rpc.grpc.status_code",
    server: "server.address",
    user: "enduser.id",
    session: "session.id",
    db_system: "db.system",
    db_statement: "db.statement",
    db_rows: "db.response.returned_rows",
    topic: "messaging.destination.name",
    offset: "messaging.kafka.offset",
    items: "shop.items.count",
    cache_hit: "shop.cache.hit",
    score: "shop.score",
    exception_type: "exception.type",
    exception_message: "exception.message",
    exception_stacktrace: "exception.stacktrace",
    attempt: "retry.attempt",
    peer_address: "network.peer.address",
    peer_port: "network.peer.port",
    user_agent: "user_agent.original",
    db_operation: "db.operation.name",
    db_name: "db.namespace",
    function: "code.function.name",
    thread: "thread.id",
}

pub(super) fn event(name: &str, time_ns: i64, attributes: Vec<Attribute>) -> Event {
    Event {
        time_ns,
        name: name.to_owned(),
        attributes,
        ..Event::default()
    }
}

pub(super) fn text(key: &Arc<str>, value: &str) -> Attribute {
    string(key, value.to_owned())
}

pub(super) fn string(key: &Arc<str>, value: String) -> Attribute {
    Attribute {
        key: Arc::clone(key),
        value: AnyValue::String(value),
    }
}

pub(super) fn int(key: &Arc<str>, value: i64) -> Attribute {
    Attribute {
        key: Arc::clone(key),
        value: AnyValue::Int(value),
    }
}
