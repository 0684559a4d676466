//! Ids, bytes and numbers, each in every form that OTLP's JSON gives it.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use opentelemetry_proto::tonic::trace::v1 as trace;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

/// Hex of any case. Text that is no hex becomes one byte, which no id has, so that the check of ids
/// turns away its span instead of the whole request.
#[derive(Default)]
pub(super) struct Id(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?.0;
        Ok(Self(
            hex::decode(text.as_bytes()).unwrap_or_else(|_| vec![0xff]),
        ))
    }
}

/// Base64, standard or URL-safe, padded or not.
pub(super) struct Base64(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const CONFIG: GeneralPurposeConfig =
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, CONFIG);
        const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG);
        let text = Text::deserialize(deserializer)?.0;
        STANDARD
            .decode(text.as_bytes())
            .or_else(|_| URL_SAFE.decode(text.as_bytes()))
            .map(Self)
            .map_err(|_| D::Error::custom("bytesValue is not base64"))
    }
}

/// Text that is borrowed where it needs no unescaping.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

macro_rules! number {
    ($name:ident($type:ty), $what:literal, $from_float:expr, $from_text:expr) => {
        #[derive(Default)]
        pub(super) struct $name(pub(super) $type);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Read;
                impl Visitor<'_> for Read {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($what)
                    }

                    fn visit_u64<E: Error>(self, value: u64) -> Result<$name, E> {
                        <$type as FromNumber>::from_u64(value)
                            .map($name)
                            .ok_or_else(|| E::custom(concat!("not ", $what)))
                    }

                    fn visit_i64<E: Error>(self, value: i64) -> Result<$name, E> {
                        <$type as FromNumber>::from_i64(value)
                            .map($name)
                            .ok_or_else(|| E::custom(concat!("not ", $what)))
                    }

                    fn visit_f64<E: Error>(self, value: f64) -> Result<$name, E> {
                        $from_float(value)
                            .map($name)
                            .ok_or_else(|| E::custom(concat!("not ", $what)))
                    }

                    fn visit_str<E: Error>(self, text: &str) -> Result<$name, E> {
                        $from_text(text)
                            .map($name)
                            .ok_or_else(|| E::custom(concat!("not ", $what)))
                    }
                }
                deserializer.deserialize_any(Read)
            }
        }
    };
}

/// A kind of number that JSON's integers are turned into, if they fit.
trait FromNumber: Sized {
    fn from_u64(value: u64) -> Option<Self>;
    fn from_i64(value: i64) -> Option<Self>;
}

macro_rules! from_number {
    ($($type:ty),*) => {$(
        impl FromNumber for $type {
            fn from_u64(value: u64) -> Option<Self> {
                value.try_into().ok()
            }
            fn from_i64(value: i64) -> Option<Self> {
                value.try_into().ok()
            }
        }
    )*};
}
from_number!(u64, i64, u32, i32);

impl FromNumber for f64 {
    fn from_u64(value: u64) -> Option<Self> {
        Some(value as Self)
    }

    fn from_i64(value: i64) -> Option<Self> {
        Some(value as Self)
    }
}

/// Whole numbers written as `1e18` or `5.0`; their text form is exact.
fn whole<T: std::str::FromStr>(value: f64) -> Option<T> {
    (value.fract() == 0.0)
        .then(|| format!("{value:.0}").parse().ok())
        .flatten()
}

fn parsed<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn float(text: &str) -> Option<f64> {
    match text {
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => text.parse().ok(),
    }
}

number!(U64(u64), "an unsigned 64-bit integer", whole, parsed);
number!(I64(i64), "a 64-bit integer", whole, parsed);
number!(U32(u32), "an unsigned 32-bit integer", whole, parsed);
number!(F64(f64), "a number", Some, float);
number!(Kind(i32), "a span kind", whole, |text: &str| {
    trace::span::SpanKind::from_str_name(text)
        .map(i32::from)
        .or_else(|| text.parse().ok())
});
number!(Code(i32), "a status code", whole, |text: &str| {
    trace::status::StatusCode::from_str_name(text)
        .map(i32::from)
        .or_else(|| text.parse().ok())
});
