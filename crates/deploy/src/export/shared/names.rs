//! Identifiers of generated code, from names that may hold anything.

use std::collections::HashSet;

/// Compilers must tell at least the first 63 characters apart; suffixes take up to 15.
const MAX_LENGTH: usize = 48;

/// Words that are taken in C and C++.
const KEYWORDS: &[&str] = &[
    "alignas",
    "alignof",
    "and",
    "and_eq",
    "asm",
    "auto",
    "bitand",
    "bitor",
    "bool",
    "break",
    "case",
    "catch",
    "char",
    "class",
    "compl",
    "const",
    "constexpr",
    "continue",
    "decltype",
    "default",
    "delete",
    "do",
    "double",
    "else",
    "enum",
    "errno",
    "explicit",
    "export",
    "extern",
    "false",
    "float",
    "for",
    "friend",
    "goto",
    "if",
    "inline",
    "int",
    "long",
    "main",
    "mutable",
    "namespace",
    "new",
    "noexcept",
    "not",
    "not_eq",
    "nullptr",
    "operator",
    "or",
    "or_eq",
    "private",
    "protected",
    "public",
    "register",
    "restrict",
    "return",
    "short",
    "signed",
    "sizeof",
    "static",
    "struct",
    "switch",
    "template",
    "this",
    "throw",
    "true",
    "try",
    "typedef",
    "typeid",
    "typename",
    "union",
    "unsigned",
    "using",
    "virtual",
    "void",
    "volatile",
    "wchar_t",
    "while",
    "xor",
    "xor_eq",
];

/// Words that are taken in Rust, and crates that a package must not shadow; names are the same in every
/// language.
const RUST: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "build",
    "burn_ptq_kernels",
    "core",
    "crate",
    "deps",
    "dyn",
    "examples",
    "final",
    "firmware",
    "fn",
    "gen",
    "impl",
    "in",
    "incremental",
    "kernels",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "network",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "samples",
    "self",
    "std",
    "super",
    "test",
    "trait",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "where",
    "yield",
];

/// Names of files that a model must not shadow: the standard headers and those of the export.
const FILES: &[&str] = &[
    "assert",
    "complex",
    "counter",
    "ctype",
    "fenv",
    "float",
    "inttypes",
    "iso646",
    "limits",
    "locale",
    "math",
    "self_test",
    "semihosting",
    "setjmp",
    "signal",
    "start",
    "stdarg",
    "stdbool",
    "stddef",
    "stdint",
    "stdio",
    "stdlib",
    "string",
    "tgmath",
    "time",
    "wchar",
    "wctype",
];

/// An ASCII identifier that resembles `name`; `kind` names what has no usable name and prefixes
/// what would be reserved.
pub fn identifier(name: &str, kind: &str) -> String {
    let mut words: Vec<&str> =
        name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    // The end of a long path says most about a node.
    while words.len() > 1 && words.iter().map(|word| word.len() + 1).sum::<usize>() > MAX_LENGTH {
        words.remove(0);
    }
    let mut joined = words.join("_");
    joined.truncate(MAX_LENGTH);
    if joined.is_empty() {
        return kind.to_owned();
    }
    let taken = |word: &str| [KEYWORDS, RUST, FILES].iter().any(|words| words.contains(&word));
    if joined.starts_with(|c: char| c.is_ascii_digit())
        || joined.to_ascii_lowercase().starts_with("bptq")
        || taken(&joined.to_ascii_lowercase())
    {
        return format!("{kind}_{joined}");
    }
    joined
}

/// One identifier for each name, all different.
pub fn unique_identifiers<'a>(names: impl Iterator<Item = &'a str>, kind: &str) -> Vec<String> {
    let mut used = HashSet::new();
    names
        .map(|name| {
            let base = identifier(name, kind);
            let mut candidate = base.clone();
            let mut number = 2;
            while !used.insert(candidate.clone()) {
                candidate = format!("{base}_{number}");
                number += 1;
            }
            candidate
        })
        .collect()
}

/// `text` on one line, fit for a comment: what could end the comment or confuse a reader of it
/// becomes a question mark.
pub fn comment(text: &str) -> String {
    let legible: String = text
        .chars()
        .map(|c| if c.is_alphanumeric() || c.is_ascii_graphic() || c == ' ' { c } else { '?' })
        .collect();
    // Trigraphs start with two question marks.
    legible.replace("*/", "* /").replace("/*", "/ *").replace("??", "? ?").replace("??", "? ?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_resemble_the_names_they_come_from() {
        assert_eq!(identifier("/model/conv1/Conv", "node"), "model_conv1_Conv");
        assert_eq!(identifier("resnet8", "model"), "resnet8");
    }

    #[test]
    fn odd_names_become_valid_identifiers() {
        for (name, expected) in [
            ("", "node"),
            ("\u{e9}\u{fc}", "node"),
            ("___", "node"),
            ("int", "node_int"),
            ("Float", "node_Float"),
            ("string", "node_string"),
            ("crate", "node_crate"),
            ("Self", "node_Self"),
            ("self test", "node_self_test"),
            ("1x1 conv", "node_1x1_conv"),
            ("bptq_conv2d", "node_bptq_conv2d"),
            ("\u{6d6e}conv\u{6d6e}3", "conv_3"),
        ] {
            assert_eq!(identifier(name, "node"), expected, "{name:?}");
        }
    }

    #[test]
    fn long_names_keep_their_end_and_stay_short() {
        let name = format!("{}/last/Conv", "block/".repeat(40));
        let short = identifier(&name, "node");
        assert!(short.len() <= MAX_LENGTH && short.ends_with("last_Conv"), "{short}");
        assert_eq!(identifier(&"x".repeat(500), "node").len(), MAX_LENGTH);
    }

    #[test]
    fn equal_names_get_different_identifiers() {
        let names = ["conv", "conv", "conv_2", "conv", "", ""];
        let identifiers = unique_identifiers(names.into_iter(), "node");
        assert_eq!(identifiers, ["conv", "conv_2", "conv_2_2", "conv_3", "node", "node_2"]);
    }

    #[test]
    fn comments_cannot_be_left() {
        assert_eq!(comment("a */ int x; /* b"), "a * / int x; / * b");
        assert_eq!(comment("line\nbreak ???/"), "line?break ? ? ?/");
        let nested = comment("**//");
        assert!(!nested.contains("*/"), "{nested}");
    }
}
