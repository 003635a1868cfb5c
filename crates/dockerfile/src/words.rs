//! Words of a line: quotes keep spaces together and stay in the word.
//!
//! Unquoting happens at expansion, because `'$A'` and `$A` differ only by their quotes.

/// Splits on spaces outside quotes; quotes and escapes are kept as written.
pub(crate) fn split(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match quote {
            None if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            None if c == '"' || c == '\'' => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ => {}
        }
        word.push(c);
        if c == escape && quote != Some('\'') {
            word.extend(characters.next());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Reads `<<NAME`, `<<-NAME`, `3<<"NAME"`: the name, whether to expand, whether to drop tabs.
pub(crate) fn heredoc(word: &str) -> Option<(String, bool, bool)> {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit());
    let rest = rest.strip_prefix("<<")?;
    let (chomp, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    if rest.contains('<') {
        return None;
    }
    let name: String = rest.chars().filter(|c| !matches!(c, '"' | '\'')).collect();
    let expand = name.len() == rest.len();
    (!name.is_empty()).then_some((name, expand, chomp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_spaces_and_stay() {
        assert_eq!(
            split(r#"a="x y" b\ c 'd "e'"#, '\\'),
            [r#"a="x y""#, r"b\ c", r#"'d "e'"#]
        );
    }

    #[test]
    fn heredoc_words_are_told_from_shifts_and_here_strings() {
        assert_eq!(heredoc("<<EOF"), Some(("EOF".into(), true, false)));
        assert_eq!(heredoc("3<<-'E'"), Some(("E".into(), false, true)));
        assert_eq!(heredoc("<<<x"), None);
        assert_eq!(heredoc("$((1<<2))"), None);
    }
}
