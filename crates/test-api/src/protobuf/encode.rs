//! Writing messages. Fields are in the order of their numbers, maps in the order of their keys.

use serde_json::Value;

use super::schema::{Field, Kind, Message};

/// A JSON object as a message.
pub(super) fn message(message: &Message, object: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    for field in message.0 {
        put(&mut out, field, object.get(field.name).unwrap_or(&Value::Null));
    }
    out
}

fn put(out: &mut Vec<u8>, field: &Field, value: &Value) {
    match (value, field.kind) {
        (Value::Null, _) if !field.is_always => {}
        (Value::Object(entries), Kind::Map) => {
            for (key, value) in entries {
                let mut entry = Vec::new();
                put_bytes(&mut entry, 1, key.as_bytes());
                put_bytes(&mut entry, 2, value.as_str().unwrap_or_default().as_bytes());
                put_bytes(out, field.number, &entry);
            }
        }
        (Value::Array(elements), _) => {
            for element in elements {
                put_one(out, field, element);
            }
        }
        _ => put_one(out, field, value),
    }
}

fn put_one(out: &mut Vec<u8>, field: &Field, value: &Value) {
    let number = field.number;
    match field.kind {
        Kind::Text => put_bytes(out, number, value.as_str().unwrap_or_default().as_bytes()),
        Kind::Number => put_number(out, number, value.as_i64().unwrap_or_default().cast_unsigned()),
        Kind::Truth => put_number(out, number, value.as_bool().unwrap_or_default().into()),
        Kind::Time => put_bytes(out, number, &time(value)),
        Kind::IntOrString => put_bytes(out, number, &int_or_string(value)),
        Kind::Fields => {
            let mut fields = Vec::new();
            put_bytes(&mut fields, 1, value.to_string().as_bytes());
            put_bytes(out, number, &fields);
        }
        Kind::Message(inner) => put_bytes(out, number, &message(inner, value)),
        Kind::Map => {}
    }
}

/// `Time`; null is an empty message.
fn time(value: &Value) -> Vec<u8> {
    let time = value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let mut out = Vec::new();
    if let Some(time) = time {
        put_number(&mut out, 1, time.as_second().cast_unsigned());
        put_number(&mut out, 2, 0);
    }
    out
}

/// `IntOrString`: which of the two it is, the number, the text.
fn int_or_string(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    put_number(&mut out, 1, value.is_string().into());
    put_number(&mut out, 2, value.as_i64().unwrap_or_default().cast_unsigned());
    put_bytes(&mut out, 3, value.as_str().unwrap_or_default().as_bytes());
    out
}

/// A field of numbers or truth values.
pub(super) fn put_number(out: &mut Vec<u8>, field: u32, number: u64) {
    put_varint(out, u64::from(field) << 3);
    put_varint(out, number);
}

/// A field of bytes, texts or messages.
pub(super) fn put_bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    put_head(out, field, bytes.len());
    out.extend_from_slice(bytes);
}

/// The beginning of a field of bytes of this length.
pub(super) fn put_head(out: &mut Vec<u8>, field: u32, length: usize) {
    put_varint(out, u64::from(field) << 3 | 2);
    put_varint(out, length as u64);
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}
