//! Attributes, and values of all types.

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;
use storage::model::{AnyValue, Attribute};

use crate::generate::resources::attribute;

/// Texts that string attributes and names take.
pub(in crate::generate) const STRINGS: &[&str] = &[
    "",
    "x",
    "y",
    "xy",
    "X",
    "1",
    "größe",
    "日本",
    "a b",
    "line\nbreak",
    "\"quoted\"",
    "true",
];

/// Attributes with distinct keys. Most keys mostly have one type; all of them are sometimes absent.
pub(super) fn attributes(rng: &mut ChaCha8Rng) -> Vec<Attribute> {
    let mut attributes = Vec::new();
    for key in [
        "i", "n", "f", "s", "b", "arr", "mixed", "name", "duration", "größe", "a b", "nan",
    ] {
        if rng.random_bool(0.5) {
            let value = match key {
                // Always of one type, if it is there.
                "n" => AnyValue::Int(rng.random_range(-3..=9)),
                _ if rng.random_bool(0.03) => any_value(rng),
                "i" | "duration" => int(rng),
                "f" => float(rng),
                "nan" => AnyValue::Double(if rng.random_bool(0.5) { f64::NAN } else { 1.5 }),
                "s" | "name" | "größe" | "a b" => AnyValue::String(pick(rng, STRINGS)),
                "b" => AnyValue::Bool(rng.random()),
                "arr" => array(rng),
                _ => any_value(rng),
            };
            attributes.push(attribute(key, value));
        }
    }
    attributes.shuffle(rng);
    attributes
}

fn any_value(rng: &mut ChaCha8Rng) -> AnyValue {
    match rng.random_range(0..9) {
        0 | 1 => int(rng),
        2 | 3 => float(rng),
        4 => AnyValue::String(pick(rng, STRINGS)),
        5 => AnyValue::Bool(rng.random()),
        6 => array(rng),
        7 => AnyValue::KeyValueList(vec![attribute("i", AnyValue::Int(1))]),
        _ if rng.random() => AnyValue::Bytes(vec![1, 2]),
        _ => AnyValue::Empty,
    }
}

fn array(rng: &mut ChaCha8Rng) -> AnyValue {
    // An empty array has no agreed meaning.
    let length = rng.random_range(1..=3);
    let element: fn(&mut ChaCha8Rng) -> AnyValue = match rng.random_range(0..5) {
        0 => int,
        1 => float,
        2 => |rng| AnyValue::String(pick(rng, STRINGS)),
        3 => |rng| AnyValue::Bool(rng.random()),
        // Of mixed types, and so invisible unless there is only one.
        _ => |rng| {
            if rng.random() {
                int(rng)
            } else {
                AnyValue::String(pick(rng, STRINGS))
            }
        },
    };
    AnyValue::Array((0..length).map(|_| element(rng)).collect())
}

fn int(rng: &mut ChaCha8Rng) -> AnyValue {
    AnyValue::Int(
        *[-3, -1, 0, 1, 2, 3, 5, 7, 8, 100, 404, i64::MAX]
            .choose(rng)
            .expect("not empty"),
    )
}

fn float(rng: &mut ChaCha8Rng) -> AnyValue {
    AnyValue::Double(
        *[-2.5, 0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 1e9, 1e-9]
            .choose(rng)
            .expect("not empty"),
    )
}

pub(super) fn pick(rng: &mut ChaCha8Rng, texts: &[&str]) -> String {
    (*texts.choose(rng).expect("not empty")).to_owned()
}
