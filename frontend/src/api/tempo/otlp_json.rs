//! OTLP messages in the proto3 JSON mapping.
//!
//! This is not OTLP's own JSON, which has hex ids and numbers for enums.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use opentelemetry_proto::tonic::common::v1 as common;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1 as trace;
use serde::ser::SerializeMap;

use super::numbers::{Double, Wide};
use super::proto_json::{Json, Message, Object};

impl Message for trace::ResourceSpans {
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error> {
        object.message("resource", self.resource.as_ref())?;
        object.list("scopeSpans", &self.scope_spans)?;
        object.text("schemaUrl", &self.schema_url)
    }
}

impl Message for Resource {
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error> {
        object.list("attributes", &self.attributes)?;
        object.narrow("droppedAttributesCount", self.dropped_attributes_count)?;
        object.list("entityRefs", &self.entity_refs)
    }
}

impl Message for common::EntityRef {
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error> {
        object.text("schemaUrl", &self.schema_url)?;
        object.text("type", &self.r#type)?;
        object.texts("idKeys", &self.id_keys)?;
        object.texts("descriptionKeys", &self.description_keys)
    }
}

impl Message for trace::ScopeSpans {
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error> {
        object.message("scope", self.scope.as_ref())?;
        object.list("spans", &self.spans)?;
        object.text("schemaUrl", &self.schema_url)
    }
}

impl Message for common::InstrumentationScope {
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error> {
        object.text("name", &self.name)?;
        object.text("version", &self.version)?;
        object.list("attributes", &self.attributes)?;
        object.narrow("droppedAttributesCount", self.dropped_attributes_count)
    }
}

impl Message for trace::Span {
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error> {
        let kind = trace::span::SpanKind::try_from(self.kind).ok();
        object.bytes("traceId", &self.trace_id)?;
        object.bytes("spanId", &self.span_id)?;
        object.text("traceState", &self.trace_state)?;
        object.bytes("parentSpanId", &self.parent_span_id)?;
        object.narrow("flags", self.flags)?;
        object.text("name", &self.name)?;
        object.choice("kind", self.kind, kind.map(|kind| kind.as_str_name()))?;
        object.wide("startTimeUnixNano", self.start_time_unix_nano)?;
        object.wide("endTimeUnixNano", self.end_time_unix_nano)?;
        object.list("attributes", &self.attributes)?;
        object.narrow("droppedAttributesCount", self.dropped_attributes_count)?;
        object.list("events", &self.events)?;
        object.narrow("droppedEventsCount", self.dropped_events_count)?;
        object.list("links", &self.links)?;
        object.narrow("droppedLinksCount", self.dropped_links_count)?;
        object.message("status", self.status.as_ref())
    }
}

impl Message for trace::span::Event {
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error> {
        object.wide("timeUnixNano", self.time_unix_nano)?;
        object.text("name", &self.name)?;
        object.list("attributes", &self.attributes)?;
        object.narrow("droppedAttributesCount", self.dropped_attributes_count)
    }
}

impl Message for trace::span::Link {
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error> {
        object.bytes("traceId", &self.trace_id)?;
        object.bytes("spanId", &self.span_id)?;
        object.text("traceState", &self.trace_state)?;
        object.list("attributes", &self.attributes)?;
        object.narrow("droppedAttributesCount", self.dropped_attributes_count)?;
        object.narrow("flags", self.flags)
    }
}

impl Message for trace::Status {
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error> {
        let code = trace::status::StatusCode::try_from(self.code).ok();
        object.text("message", &self.message)?;
        object.choice("code", self.code, code.map(|code| code.as_str_name()))
    }
}

impl Message for common::KeyValue {
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error> {
        object.text("key", &self.key)?;
        object.message("value", self.value.as_ref())
    }
}

/// One of several fields: the one that is set is there even if it has its default value.
impl Message for common::AnyValue {
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error> {
        match &self.value {
            Some(Value::StringValue(value)) => object.field("stringValue", value),
            Some(Value::BoolValue(value)) => object.field("boolValue", value),
            Some(Value::IntValue(value)) => object.field("intValue", &Wide(value)),
            Some(Value::DoubleValue(value)) => object.field("doubleValue", &Double(*value)),
            Some(Value::ArrayValue(array)) => object.field("arrayValue", &Json(array)),
            Some(Value::KvlistValue(list)) => object.field("kvlistValue", &Json(list)),
            Some(Value::BytesValue(value)) => object.field("bytesValue", &STANDARD.encode(value)),
            // A reference into a table that only profiles have.
            Some(Value::StringValueStrindex(_)) | None => Ok(()),
        }
    }
}

impl Message for common::ArrayValue {
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error> {
        object.list("values", &self.values)
    }
}

impl Message for common::KeyValueList {
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error> {
        object.list("values", &self.values)
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
    use serde_json::json;

    use super::*;

    fn value(value: Value) -> AnyValue {
        AnyValue { value: Some(value) }
    }

    fn attribute(key: &str, of: Value) -> KeyValue {
        KeyValue {
            key: key.to_owned(),
            value: Some(value(of)),
            ..KeyValue::default()
        }
    }

    fn written(of: AnyValue) -> serde_json::Value {
        serde_json::to_value(Json(&of)).unwrap()
    }

    #[test]
    fn values_of_every_type() {
        let list = vec![value(Value::IntValue(-1)), AnyValue { value: None }];
        for (of, expected) in [
            (
                Value::StringValue(String::new()),
                json!({"stringValue": ""}),
            ),
            (Value::BoolValue(false), json!({"boolValue": false})),
            (
                Value::IntValue(i64::MIN),
                json!({"intValue": "-9223372036854775808"}),
            ),
            (Value::DoubleValue(0.5), json!({"doubleValue": 0.5})),
            (Value::DoubleValue(f64::NAN), json!({"doubleValue": "NaN"})),
            (
                Value::BytesValue(vec![255, 0]),
                json!({"bytesValue": "/wA="}),
            ),
            (
                Value::ArrayValue(ArrayValue { values: list }),
                json!({"arrayValue": {"values": [{"intValue": "-1"}, {}]}}),
            ),
            (
                Value::KvlistValue(KeyValueList {
                    values: vec![attribute("", Value::BoolValue(true))],
                }),
                json!({"kvlistValue": {"values": [{"value": {"boolValue": true}}]}}),
            ),
            (
                Value::ArrayValue(ArrayValue::default()),
                json!({"arrayValue": {}}),
            ),
        ] {
            assert_eq!(written(value(of)), expected);
        }
        assert_eq!(written(AnyValue { value: None }), json!({}));
    }

    #[test]
    fn every_field_of_a_trace() {
        let event = trace::span::Event {
            time_unix_nano: 5,
            name: "e".to_owned(),
            attributes: vec![attribute("a", Value::BoolValue(true))],
            dropped_attributes_count: 1,
        };
        let link = trace::span::Link {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            trace_state: "s".to_owned(),
            attributes: vec![attribute("a", Value::IntValue(1))],
            dropped_attributes_count: 2,
            flags: 3,
        };
        let span = trace::Span {
            trace_id: (0..16).collect(),
            span_id: (0..8).collect(),
            trace_state: "x=y".to_owned(),
            parent_span_id: vec![9; 8],
            flags: 257,
            name: "GET /".to_owned(),
            kind: 2,
            start_time_unix_nano: 1_700_000_000_000_000_000,
            end_time_unix_nano: 1_700_000_000_100_000_000,
            attributes: vec![attribute("http.status_code", Value::IntValue(200))],
            dropped_attributes_count: 4,
            events: vec![event],
            dropped_events_count: 5,
            links: vec![link],
            dropped_links_count: 6,
            status: Some(trace::Status {
                message: "boom".to_owned(),
                code: 2,
            }),
        };
        let bare = trace::Span {
            kind: 77,
            status: Some(trace::Status::default()),
            ..Default::default()
        };
        let spans = trace::ResourceSpans {
            resource: Some(Resource {
                attributes: vec![attribute(
                    "service.name",
                    Value::StringValue("cart".to_owned()),
                )],
                dropped_attributes_count: 7,
                entity_refs: vec![common::EntityRef {
                    schema_url: "u".to_owned(),
                    r#type: "service".to_owned(),
                    id_keys: vec!["service.name".to_owned()],
                    description_keys: Vec::new(),
                }],
            }),
            scope_spans: vec![trace::ScopeSpans {
                scope: Some(common::InstrumentationScope {
                    name: "lib".to_owned(),
                    version: "1.0".to_owned(),
                    attributes: Vec::new(),
                    dropped_attributes_count: 8,
                }),
                spans: vec![span, bare],
                schema_url: "v".to_owned(),
            }],
            schema_url: "w".to_owned(),
        };
        let expected = json!({
            "resource": {
                "attributes": [{"key": "service.name", "value": {"stringValue": "cart"}}],
                "droppedAttributesCount": 7,
                "entityRefs": [{"schemaUrl": "u", "type": "service", "idKeys": ["service.name"]}],
            },
            "scopeSpans": [{
                "scope": {"name": "lib", "version": "1.0", "droppedAttributesCount": 8},
                "spans": [{
                    "traceId": "AAECAwQFBgcICQoLDA0ODw==",
                    "spanId": "AAECAwQFBgc=",
                    "traceState": "x=y",
                    "parentSpanId": "CQkJCQkJCQk=",
                    "flags": 257,
                    "name": "GET /",
                    "kind": "SPAN_KIND_SERVER",
                    "startTimeUnixNano": "1700000000000000000",
                    "endTimeUnixNano": "1700000000100000000",
                    "attributes": [{"key": "http.status_code", "value": {"intValue": "200"}}],
                    "droppedAttributesCount": 4,
                    "events": [{
                        "timeUnixNano": "5",
                        "name": "e",
                        "attributes": [{"key": "a", "value": {"boolValue": true}}],
                        "droppedAttributesCount": 1,
                    }],
                    "droppedEventsCount": 5,
                    "links": [{
                        "traceId": "AQEBAQEBAQEBAQEBAQEBAQ==",
                        "spanId": "AgICAgICAgI=",
                        "traceState": "s",
                        "attributes": [{"key": "a", "value": {"intValue": "1"}}],
                        "droppedAttributesCount": 2,
                        "flags": 3,
                    }],
                    "droppedLinksCount": 6,
                    "status": {"message": "boom", "code": "STATUS_CODE_ERROR"},
                }, {"kind": 77, "status": {}}],
                "schemaUrl": "v",
            }],
            "schemaUrl": "w",
        });
        assert_eq!(serde_json::to_value(Json(&spans)).unwrap(), expected);
    }
}
