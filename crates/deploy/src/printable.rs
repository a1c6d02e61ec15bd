//! Text from files, made fit to be shown: names of nodes, tasks and columns may hold anything, and a
//! terminal acts on escape sequences.

use std::borrow::Cow;

/// `text` as one line: characters that move the cursor, change colours, hide text or turn its
/// direction are written as escapes, such as `\u{1b}`.
pub fn line(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// Characters of a name that a message shows.
const NAME: usize = 80;

/// The first characters of a name from a file, which may be as long as the file.
pub(crate) fn clip(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(NAME) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}...", &text[..end])),
    }
}

/// A name from a file as messages show it: in one line, and no more than its first characters.
pub(crate) fn name(text: &str) -> Cow<'_, str> {
    match clip(text) {
        Cow::Borrowed(text) => line(text),
        Cow::Owned(text) => Cow::Owned(line(&text).into_owned()),
    }
}

/// `text` with its line ends and tabs; everything else is escaped as by [`line()`].
pub fn lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| matches!(c, '\n' | '\t'))
}

/// Whether a terminal, an editor or a browser does something with a character other than show it.
pub fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            // Line and paragraph separators, and what turns the direction of text.
            '\u{2028}' | '\u{2029}' | '\u{61c}' | '\u{200e}' | '\u{200f}'
                | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    let escaped = |c: char| is_active(c) && !keep(c);
    if !text.contains(escaped) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match escaped(c) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_short_between_characters() {
        assert_eq!(name("conv\n1"), "conv\\n1");
        assert_eq!(name(&"ö".repeat(NAME)), "ö".repeat(NAME));
        assert_eq!(name(&"ö".repeat(1000)), format!("{}...", "ö".repeat(NAME)));
        assert_eq!(name(&"\n".repeat(1000)), format!("{}...", "\\n".repeat(NAME)));
    }

    #[test]
    fn what_a_terminal_acts_on_is_escaped_and_all_else_is_kept() {
        assert_eq!(line("\u{1b}]0;title\u{7}"), "\\u{1b}]0;title\\u{7}");
        assert_eq!(line("two\nlines\r\t\u{9b}1A\u{7f}"), "two\\nlines\\r\\t\\u{9b}1A\\u{7f}");
        assert_eq!(lines("two\nlines\r\t\u{202e}"), "two\nlines\\r\t\\u{202e}");
        for plain in ["", "conv_1/Relu:0", "Schicht „größer“ 層 \u{1f600} a\\b"] {
            assert!(matches!(line(plain), Cow::Borrowed(text) if text == plain));
        }
    }
}
