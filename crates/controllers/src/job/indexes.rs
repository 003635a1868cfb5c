//! Sets of completion indexes in their short form, such as `0,2-4`.

use std::collections::BTreeSet;

/// Reads the short form; what cannot be read, or lies at or above `end`, is left out.
pub(super) fn parse(text: &str, end: i32) -> BTreeSet<i32> {
    let mut indexes = BTreeSet::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<i32>(), last.parse::<i32>()) {
            indexes.extend(first.max(0)..=last.min(end - 1));
        }
    }
    indexes
}

/// Writes the short form: two neighbours stay apart by a comma, more become a range.
pub(super) fn format(indexes: &BTreeSet<i32>) -> String {
    let mut parts = Vec::new();
    let mut run: Option<(i32, i32)> = None;
    for index in indexes.iter().copied().map(Some).chain([None]) {
        run = match (run, index) {
            (Some((first, last)), Some(index)) if index == last + 1 => Some((first, index)),
            (ended, index) => {
                parts.extend(ended.map(written));
                index.map(|index| (index, index))
            }
        };
    }
    parts.join(",")
}

fn written((first, last): (i32, i32)) -> String {
    match last - first {
        0 => first.to_string(),
        1 => format!("{first},{last}"),
        _ => format!("{first}-{last}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_survive_their_short_form() {
        for text in ["", "0", "0,1", "0-2", "0,2-4,7", "1,3,5,6"] {
            assert_eq!(format(&parse(text, 10)), text);
        }
        assert_eq!(format(&parse("0-5", 3)), "0-2");
        assert_eq!(format(&parse("x,2", 3)), "2");
    }
}
