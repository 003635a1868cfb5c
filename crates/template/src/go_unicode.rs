//! What Go's `unicode` says of a character: the classes of Unicode 15, whatever came later.

use std::sync::OnceLock;

use regex::Regex;

/// `unicode.IsLetter`.
pub(crate) fn is_letter(c: char) -> bool {
    static LETTER: OnceLock<Option<Regex>> = OnceLock::new();
    if c.is_ascii() {
        return c.is_ascii_alphabetic();
    }
    let class = LETTER.get_or_init(|| Regex::new(r"\A[\p{L}&&\p{age:15.0}]\z").ok());
    is_of(class.as_ref(), c)
}

/// `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols and the space.
pub(crate) fn is_print(c: char) -> bool {
    static PRINT: OnceLock<Option<Regex>> = OnceLock::new();
    if c.is_ascii() {
        return matches!(c, ' '..='~');
    }
    let pattern = r"\A[[\p{L}\p{M}\p{N}\p{P}\p{S}]&&\p{age:15.0}]\z";
    is_of(PRINT.get_or_init(|| Regex::new(pattern).ok()).as_ref(), c)
}

fn is_of(class: Option<&Regex>, c: char) -> bool {
    class.is_some_and(|class| class.is_match(c.encode_utf8(&mut [0; 4])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_the_basic_plane_are_as_large_as_in_go() {
        let all = || '\0'..='\u{ffff}';
        assert_eq!(all().filter(|c| is_letter(*c)).count(), 48_965);
        assert_eq!(all().filter(|c| is_print(*c)).count(), 55_508);
    }

    #[test]
    fn characters_are_of_the_class_go_says() {
        for c in ['a', 'é', '中', 'ª', 'ʰ'] {
            assert!(is_letter(c) && is_print(c), "{c:?}");
        }
        for c in ['1', '_', 'Ⅷ', 'Ⓐ', '\u{345}', '€'] {
            assert!(!is_letter(c) && is_print(c), "{c:?}");
        }
        for c in [
            '\n', '\u{7f}', '\u{a0}', '\u{ad}', '\u{378}', '\u{2028}', '\u{e000}',
        ] {
            assert!(!is_print(c), "{c:?}");
        }
    }
}
