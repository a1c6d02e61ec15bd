//! A bound on the number of fields in a file, checked before the file is parsed.
//!
//! A message takes hundreds of bytes once it is parsed, but an empty one takes two in the file. This
//! walks the wire format of protobuf along the messages of `onnx.proto` and counts their fields
//! without allocating.

/// The largest number of fields, numbers in lists aside.
const MAX_FIELDS: usize = 1 << 18;
/// Graphs in attributes of nodes may nest graphs; no model goes as deep.
const MAX_DEPTH: usize = 32;

/// The messages that are told apart.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Graph,
    Function,
    Node,
    Attribute,
    Tensor,
    /// Any message without messages in it.
    Flat,
    /// Any other: every two bytes may be a field.
    Opaque,
}

/// Whether the file has more fields than a model needs. Malformed files are the parser's business.
pub(super) fn exceeds_field_limit(bytes: &[u8]) -> bool {
    let mut left = MAX_FIELDS;
    walk(Message::Model, bytes, &mut left, 0).is_err()
}

/// The limit was exceeded.
struct Exceeded;

fn walk(
    message: Message,
    mut bytes: &[u8],
    left: &mut usize,
    depth: usize,
) -> Result<(), Exceeded> {
    if depth > MAX_DEPTH {
        return Err(Exceeded);
    }
    while let Some(key) = varint(&mut bytes) {
        let field = key >> 3;
        let len = match key & 7 {
            0 => {
                varint(&mut bytes);
                0
            }
            1 => 8,
            2 => varint(&mut bytes).unwrap_or(0),
            5 => 4,
            _ => return Ok(()),
        };
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let Some((content, rest)) = bytes.split_at_checked(len) else { return Ok(()) };
        bytes = rest;
        // Old exporters write lists of numbers one by one; they grow little when parsed.
        let is_list = matches!(message, Message::Tensor | Message::Attribute) && field <= 16;
        if !(is_list && key & 7 != 2) {
            *left = left.checked_sub(1).ok_or(Exceeded)?;
        }
        match child(message, field).filter(|_| key & 7 == 2) {
            None => {}
            Some(Message::Opaque) => *left = left.checked_sub(len / 2).ok_or(Exceeded)?,
            Some(child) => walk(child, content, left, depth + 1)?,
        }
    }
    Ok(())
}

/// The message in a field of `onnx.proto`; `None` for numbers, strings and bytes.
fn child(message: Message, field: u64) -> Option<Message> {
    match (message, field) {
        (Message::Model, 7) => Some(Message::Graph),
        (Message::Model, 8 | 14) => Some(Message::Flat),
        (Message::Model, 25) => Some(Message::Function),
        (Message::Model, 20 | 26) => Some(Message::Opaque),
        (Message::Function, 7) => Some(Message::Node),
        (Message::Function, 9 | 14) => Some(Message::Flat),
        (Message::Function, 11) => Some(Message::Attribute),
        (Message::Function, 12) => Some(Message::Opaque),
        (Message::Graph, 1) => Some(Message::Node),
        (Message::Graph, 5) => Some(Message::Tensor),
        (Message::Graph, 11..=16) => Some(match field {
            16 => Message::Flat,
            _ => Message::Opaque,
        }),
        (Message::Node, 5) => Some(Message::Attribute),
        (Message::Node, 9) => Some(Message::Flat),
        (Message::Node, 10) => Some(Message::Opaque),
        (Message::Attribute, 5 | 10) => Some(Message::Tensor),
        (Message::Attribute, 6 | 11) => Some(Message::Graph),
        (Message::Attribute, 14 | 15 | 22 | 23) => Some(Message::Opaque),
        (Message::Tensor, 3 | 13 | 16) => Some(Message::Flat),
        _ => None,
    }
}

/// Reads a number of seven bits a byte.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field with a message of `content`.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2];
        let mut len = content.len();
        while len >= 0x80 {
            bytes.push(len as u8 | 0x80);
            len >>= 7;
        }
        bytes.push(len as u8);
        bytes.extend_from_slice(content);
        bytes
    }

    #[test]
    fn millions_of_empty_nodes_exceed_the_limit() {
        let node = field(1, &[]);
        assert!(!exceeds_field_limit(&field(7, &node.repeat(1000))));
        assert!(exceeds_field_limit(&field(7, &node.repeat(MAX_FIELDS))));
    }

    #[test]
    fn large_weights_do_not_exceed_the_limit() {
        let weights = field(9, &vec![0; 8 << 20]);
        assert!(!exceeds_field_limit(&field(7, &field(5, &weights))));
    }

    #[test]
    fn endlessly_nested_graphs_exceed_the_limit() {
        let mut graph = Vec::new();
        for _ in 0..40 {
            graph = field(1, &field(5, &field(6, &graph)));
        }
        assert!(exceeds_field_limit(&field(7, &graph)));
    }

    #[test]
    fn malformed_bytes_are_left_to_the_parser() {
        assert!(!exceeds_field_limit(&[0x3a, 0xff, 0xff, 0xff]));
        assert!(!exceeds_field_limit(&[0xff; 64]));
    }
}
