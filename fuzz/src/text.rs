//! Damage to texts: TOML, JSON lines and CSV, whose tokens stay whole more often than not.

use crate::mutate::{self, Random};

/// What may stand in the place of a text.
const TEXTS: &[&str] = &[
    "",
    "\\u001b[2J",
    "=1+1",
    "<script>",
    "a\\nb",
    "../../etc",
    "\u{202e}",
    "[",
    "*",
    "nan",
    "x",
    "-",
    "ÿ",
    "0",
    "true",
];

/// What may stand in the place of a number.
const NUMBERS: &[&str] = &[
    "0",
    "-1",
    "1e308",
    "-1e308",
    "1e-308",
    "0.5",
    "nan",
    "inf",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "1000000000000",
    "65536",
    "2",
    "16",
    "true",
];

/// Damages a text in one place.
pub fn damage(random: &mut Random, text: &mut Vec<u8>, other: &[u8]) {
    match random.below(10) {
        0..=2 => {
            let number = match random.below(3) {
                0 => random.edge().to_string(),
                _ => NUMBERS[random.below(NUMBERS.len())].into(),
            };
            replace(random, text, |byte| byte.is_ascii_digit() || byte == b'.', number.as_bytes());
        }
        3 => {
            let quoted = TEXTS[random.below(TEXTS.len())].as_bytes().to_vec();
            replace(random, text, |byte| !matches!(byte, b'"' | b'\'' | b'\n'), &quoted);
        }
        4 | 5 => {
            // A word in the place of another.
            let word = piece(random, other, is_word).to_vec();
            replace(random, text, is_word, &word);
        }
        6 => {
            let line = piece(random, other, |byte| byte != b'\n').to_vec();
            let at = line_start(random, text);
            text.splice(at..at, line.into_iter().chain([b'\n']));
        }
        7 => {
            let start = line_start(random, text);
            let end = text[start..].iter().position(|&byte| byte == b'\n');
            text.drain(start..end.map_or(text.len(), |end| start + end + 1));
        }
        8 => {
            let at = random.below(text.len() + 1);
            let open =
                [&b"["[..], b"{a=", b"{\"a\":", b"\"", b"\n[[x]]\n", b"a.a."][random.below(6)];
            text.splice(at..at, open.repeat(1 << random.below(11)));
        }
        _ => mutate::damage(random, text, other),
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// The place of a run of bytes of a kind.
fn run(random: &mut Random, text: &[u8], kind: impl Fn(u8) -> bool) -> std::ops::Range<usize> {
    let from = random.below(text.len());
    let begin = text[from..].iter().position(|&byte| kind(byte)).map_or(text.len(), |at| from + at);
    let end = text[begin..].iter().position(|&byte| !kind(byte));
    begin..end.map_or(text.len(), |end| begin + end)
}

fn piece<'a>(random: &mut Random, text: &'a [u8], kind: impl Fn(u8) -> bool) -> &'a [u8] {
    &text[run(random, text, kind)]
}

fn replace(random: &mut Random, text: &mut Vec<u8>, kind: impl Fn(u8) -> bool, by: &[u8]) {
    let place = run(random, text, kind);
    text.splice(place, by.iter().copied());
}

fn line_start(random: &mut Random, text: &[u8]) -> usize {
    let from = random.below(text.len() + 1);
    text[..from].iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1)
}
