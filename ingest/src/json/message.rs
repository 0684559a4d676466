//! The messages as they stand in JSON, and their protobuf twins.

use std::fmt;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1 as common;
use opentelemetry_proto::tonic::resource::v1 as resource;
use opentelemetry_proto::tonic::trace::v1 as trace;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::scalar::{Base64, Code, F64, I64, Id, Kind, U32, U64};

/// Reads `null` like a missing field.
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

macro_rules! message {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Deserialize, Default)]
        // `Self` as the remote makes the derived reading a plain function, used below only for objects:
        // a derived struct would accept a list of its fields' values as well.
        #[serde(rename_all = "camelCase", default, remote = "Self")]
        pub(super) struct $name {
            $(#[serde(deserialize_with = "nullable")] $field: $type,)*
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Read;
                impl<'de> Visitor<'de> for Read {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<$name, A::Error> {
                        $name::deserialize(MapAccessDeserializer::new(map))
                    }
                }
                deserializer.deserialize_map(Read)
            }
        }
    };
}

message!(Request { resource_spans: Vec<ResourceSpans>, });
message!(ResourceSpans { resource: Option<Resource>, scope_spans: Vec<ScopeSpans>, schema_url: String, });
message!(Resource {
    attributes: Vec<KeyValue>,
    dropped_attributes_count: U32,
    entity_refs: Vec<EntityRef>,
});
message!(EntityRef {
    schema_url: String,
    r#type: String,
    id_keys: Vec<String>,
    description_keys: Vec<String>,
});
message!(ScopeSpans { scope: Option<Scope>, spans: Vec<Span>, schema_url: String, });
message!(Scope { name: String, version: String, attributes: Vec<KeyValue>, dropped_attributes_count: U32, });
message!(Span {
    trace_id: Id,
    span_id: Id,
    trace_state: String,
    parent_span_id: Id,
    flags: U32,
    name: String,
    kind: Kind,
    start_time_unix_nano: U64,
    end_time_unix_nano: U64,
    attributes: Vec<KeyValue>,
    dropped_attributes_count: U32,
    events: Vec<Event>,
    dropped_events_count: U32,
    links: Vec<Link>,
    dropped_links_count: U32,
    status: Option<Status>,
});
message!(Event { time_unix_nano: U64, name: String, attributes: Vec<KeyValue>, dropped_attributes_count: U32, });
message!(Link {
    trace_id: Id,
    span_id: Id,
    trace_state: String,
    attributes: Vec<KeyValue>,
    dropped_attributes_count: U32,
    flags: U32,
});
message!(Status {
    message: String,
    code: Code,
});
message!(KeyValue { key: String, value: Option<AnyValue>, });
message!(
    /// At most one field is set; of several the first wins.
    AnyValue {
        string_value: Option<String>,
        bool_value: Option<bool>,
        int_value: Option<I64>,
        double_value: Option<F64>,
        array_value: Option<ArrayValue>,
        kvlist_value: Option<KeyValueList>,
        bytes_value: Option<Base64>,
    }
);
message!(ArrayValue { values: Vec<AnyValue>, });
message!(KeyValueList { values: Vec<KeyValue>, });

fn all<A: Into<B>, B>(items: Vec<A>) -> Vec<B> {
    items.into_iter().map(Into::into).collect()
}

impl From<Request> for ExportTraceServiceRequest {
    fn from(json: Request) -> Self {
        Self {
            resource_spans: all(json.resource_spans),
        }
    }
}

impl From<ResourceSpans> for trace::ResourceSpans {
    fn from(json: ResourceSpans) -> Self {
        Self {
            resource: json.resource.map(Into::into),
            scope_spans: all(json.scope_spans),
            schema_url: json.schema_url,
        }
    }
}

impl From<Resource> for resource::Resource {
    fn from(json: Resource) -> Self {
        Self {
            attributes: all(json.attributes),
            dropped_attributes_count: json.dropped_attributes_count.0,
            entity_refs: all(json.entity_refs),
        }
    }
}

impl From<EntityRef> for common::EntityRef {
    fn from(json: EntityRef) -> Self {
        Self {
            schema_url: json.schema_url,
            r#type: json.r#type,
            id_keys: json.id_keys,
            description_keys: json.description_keys,
        }
    }
}

impl From<ScopeSpans> for trace::ScopeSpans {
    fn from(json: ScopeSpans) -> Self {
        Self {
            scope: json.scope.map(Into::into),
            spans: all(json.spans),
            schema_url: json.schema_url,
        }
    }
}

impl From<Scope> for common::InstrumentationScope {
    fn from(json: Scope) -> Self {
        Self {
            name: json.name,
            version: json.version,
            attributes: all(json.attributes),
            dropped_attributes_count: json.dropped_attributes_count.0,
        }
    }
}

impl From<Span> for trace::Span {
    fn from(json: Span) -> Self {
        Self {
            trace_id: json.trace_id.0,
            span_id: json.span_id.0,
            trace_state: json.trace_state,
            parent_span_id: json.parent_span_id.0,
            flags: json.flags.0,
            name: json.name,
            kind: json.kind.0,
            start_time_unix_nano: json.start_time_unix_nano.0,
            end_time_unix_nano: json.end_time_unix_nano.0,
            attributes: all(json.attributes),
            dropped_attributes_count: json.dropped_attributes_count.0,
            events: all(json.events),
            dropped_events_count: json.dropped_events_count.0,
            links: all(json.links),
            dropped_links_count: json.dropped_links_count.0,
            status: json.status.map(|status| trace::Status {
                message: status.message,
                code: status.code.0,
            }),
        }
    }
}

impl From<Event> for trace::span::Event {
    fn from(json: Event) -> Self {
        Self {
            time_unix_nano: json.time_unix_nano.0,
            name: json.name,
            attributes: all(json.attributes),
            dropped_attributes_count: json.dropped_attributes_count.0,
        }
    }
}

impl From<Link> for trace::span::Link {
    fn from(json: Link) -> Self {
        Self {
            trace_id: json.trace_id.0,
            span_id: json.span_id.0,
            trace_state: json.trace_state,
            attributes: all(json.attributes),
            dropped_attributes_count: json.dropped_attributes_count.0,
            flags: json.flags.0,
        }
    }
}

impl From<KeyValue> for common::KeyValue {
    fn from(json: KeyValue) -> Self {
        Self {
            key: json.key,
            value: json.value.map(Into::into),
            ..Default::default()
        }
    }
}

impl From<AnyValue> for common::AnyValue {
    fn from(json: AnyValue) -> Self {
        use common::any_value::Value;
        let value = None
            .or(json.string_value.map(Value::StringValue))
            .or(json.bool_value.map(Value::BoolValue))
            .or(json.int_value.map(|value| Value::IntValue(value.0)))
            .or(json.double_value.map(|value| Value::DoubleValue(value.0)))
            .or_else(|| {
                json.array_value.map(|array| {
                    Value::ArrayValue(common::ArrayValue {
                        values: all(array.values),
                    })
                })
            })
            .or_else(|| {
                json.kvlist_value.map(|list| {
                    Value::KvlistValue(common::KeyValueList {
                        values: all(list.values),
                    })
                })
            })
            .or(json.bytes_value.map(|bytes| Value::BytesValue(bytes.0)));
        Self { value }
    }
}
