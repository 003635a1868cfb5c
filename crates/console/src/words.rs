//! French words for figures and moments, with the spaces French wants.
//!
//! Times are UTC: the footer says so. A narrow no-break space stands between number and unit.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Narrow no-break space.
const N: char = '\u{202f}';
const MONTHS: [&str; 12] = [
    "janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.",
    "déc.",
];
/// Hexadecimal digits shown of a digest.
const DIGEST_CHARS: usize = 12;

/// `9 s`, `1 min 48 s`, `2 h 05 min`, `3 j`.
pub(crate) fn duration(seconds: i64) -> String {
    let s = seconds.max(0);
    match s {
        0..60 => format!("{s}{N}s"),
        60..3_600 => format!("{}{N}min {:02}{N}s", s / 60, s % 60),
        3_600..86_400 => format!("{}{N}h {:02}{N}min", s / 3_600, s % 3_600 / 60),
        _ => format!("{}{N}j", s / 86_400),
    }
}

/// How long something took: `0,4 s` when it was short, else as [`duration`] says.
pub(crate) fn taken(start: Timestamp, end: Timestamp) -> String {
    let milliseconds = (end.as_millisecond() - start.as_millisecond()).max(0);
    match milliseconds {
        0..100 => format!("<{N}0,1{N}s"),
        100..10_000 => format!("{},{}{N}s", milliseconds / 1000, milliseconds % 1000 / 100),
        _ => duration(milliseconds / 1000),
    }
}

/// `25 min`: the largest unit only.
pub(crate) fn age(then: Timestamp, now: Timestamp) -> String {
    let s = seconds(then, now).max(0);
    match s {
        0..60 => format!("{s}{N}s"),
        60..3_600 => format!("{}{N}min", s / 60),
        3_600..86_400 => format!("{}{N}h", s / 3_600),
        _ => format!("{}{N}j", s / 86_400),
    }
}

/// `il y a 25 min`.
pub(crate) fn ago(then: Timestamp, now: Timestamp) -> String {
    format!("il y a {}", age(then, now))
}

/// `à 14 h 24`, or `le 12 nov. à 9 h 03`, or with the year when it is another.
pub(crate) fn moment(then: Timestamp, now: Timestamp) -> String {
    let (then, now) = (then.to_zoned(TimeZone::UTC), now.to_zoned(TimeZone::UTC));
    let clock = format!("à {}{N}h{N}{:02}", then.hour(), then.minute());
    if then.date() == now.date() {
        return clock;
    }
    let month = usize::try_from(then.month()).unwrap_or(1).saturating_sub(1);
    let month = MONTHS.get(month).copied().unwrap_or_default();
    if then.year() == now.year() {
        return format!("le {}{N}{month} {clock}", then.day());
    }
    format!("le {}{N}{month} {} {clock}", then.day(), then.year())
}

/// `14 h 30 min 12 s`.
pub(crate) fn clock(now: Timestamp) -> String {
    let now = now.to_zoned(TimeZone::UTC);
    format!(
        "{}{N}h {:02}{N}min {:02}{N}s",
        now.hour(),
        now.minute(),
        now.second()
    )
}

/// Whole seconds from one moment to another.
pub(crate) fn seconds(then: Timestamp, now: Timestamp) -> i64 {
    now.as_second() - then.as_second()
}

/// The seven characters people know a commit by.
pub(crate) fn commit(id: &str) -> String {
    id.chars().take(7).collect()
}

/// `sha256:3d8b4b54eccd…`.
pub(crate) fn digest(digest: &str) -> String {
    let Some((algorithm, hex)) = digest.split_once(':') else {
        return shortened(digest, 20);
    };
    format!("{algorithm}:{}", shortened(hex, DIGEST_CHARS))
}

/// `web@sha256:3d8b4b54eccd…` of `registry/project/web@sha256:…`.
pub(crate) fn image(reference: &str) -> String {
    let (path, tail) = reference.split_once('@').unwrap_or((reference, ""));
    let last = path.rsplit('/').next().unwrap_or(path);
    if tail.is_empty() {
        return shortened(last, 60);
    }
    format!("{last}@{}", digest(tail))
}

/// `refs/heads/main` is `main`.
pub(crate) fn branch(reference: &str) -> &str {
    let short = reference.strip_prefix("refs/heads/");
    short
        .or_else(|| reference.strip_prefix("refs/tags/"))
        .unwrap_or(reference)
}

/// `1 application`, `2 applications`; French counts zero as one.
pub(crate) fn count(number: impl TryInto<u64>, noun: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    let plural = if number > 1 { "s" } else { "" };
    format!("{number}{N}{noun}{plural}")
}

/// `94,2 %` of 942.
pub(crate) fn permille(permille: u64) -> String {
    format!("{},{}{N}%", permille / 10, permille % 10)
}

/// `dev, recette et prod`.
pub(crate) fn list<T: AsRef<str>>(names: &[T]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match names.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} et {last}", rest.join(", ")),
    }
}

/// With a capital and a full stop.
pub(crate) fn sentence(text: &str) -> String {
    let text = text.trim_end_matches('.');
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), chars.as_str())
}

/// The same text with the names of fields, such as `readOnlyRootFilesystem`, between backquotes,
/// and the apostrophes of a printed page.
pub(crate) fn identifiers(text: &str) -> String {
    if text.contains('`') {
        return text.to_owned();
    }
    let is_field = |word: &str| {
        let bytes = word.as_bytes();
        let inner = bytes
            .windows(2)
            .any(|pair| matches!(pair, [a, b] if a.is_ascii_lowercase() && b.is_ascii_uppercase()));
        let allowed = |b: &u8| b.is_ascii_alphanumeric() || b".[]".contains(b);
        inner && bytes.iter().all(allowed)
    };
    let one = |word: &str| {
        let core = word.trim_end_matches([',', '.', ':', ';']);
        match is_field(core) {
            true => format!("`{core}`{}", word.strip_prefix(core).unwrap_or_default()),
            false => word.replace('\'', "’"),
        }
    };
    let words: Vec<String> = text.split(' ').map(one).collect();
    words.join(" ")
}

/// As the value of a field in an address.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn shortened(text: &str, chars: usize) -> String {
    let start: String = text.chars().take(chars).collect();
    if start.len() == text.len() {
        start
    } else {
        format!("{start}…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_as_french_writes_them() {
        let cases = [
            (9, "9 s"),
            (108, "1 min 48 s"),
            (62, "1 min 02 s"),
            (7_500, "2 h 05 min"),
            (200_000, "2 j"),
            (-4, "0 s"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(duration(seconds).replace(N, " "), expected);
        }
        let took = |milliseconds| {
            let end = Timestamp::from_millisecond(milliseconds).unwrap();
            taken(Timestamp::UNIX_EPOCH, end).replace(N, " ")
        };
        assert_eq!(took(99), "< 0,1 s");
        assert_eq!(took(440), "0,4 s");
        assert_eq!(took(12_900), "12 s");
        assert_eq!(count(0, "projet").replace(N, " "), "0 projet");
        assert_eq!(count(2, "projet").replace(N, " "), "2 projets");
        assert_eq!(permille(1000).replace(N, " "), "100,0 %");
        assert_eq!(list(&["dev", "recette", "prod"]), "dev, recette et prod");
        assert_eq!(list(&["dev"]), "dev");
        assert_eq!(sentence("élue"), "Élue.");
    }

    #[test]
    fn names_of_fields_are_code() {
        let cases = [
            (
                "runAsUser vaut 0, donc root",
                "`runAsUser` vaut 0, donc root",
            ),
            ("mettez runAsNonRoot: true", "mettez `runAsNonRoot`: true"),
            ("ni <sCript> ni JavaScript.", "ni <sCript> ni `JavaScript`."),
            ("`x` et runAsUser", "`x` et runAsUser"),
            ("là où l'on écrit", "là où l’on écrit"),
        ];
        for (text, expected) in cases {
            assert_eq!(identifiers(text), expected);
        }
    }

    #[test]
    fn a_moment_says_only_what_differs_from_now() {
        let now: Timestamp = "2026-11-19T14:30:12Z".parse().unwrap();
        let cases = [
            ("2026-11-19T14:24:00Z", "à 14 h 24"),
            ("2026-11-12T09:03:00Z", "le 12 nov. à 9 h 03"),
            ("2025-08-01T00:00:00Z", "le 1 août 2025 à 0 h 00"),
        ];
        for (then, expected) in cases {
            assert_eq!(moment(then.parse().unwrap(), now).replace(N, " "), expected);
        }
        assert_eq!(clock(now).replace(N, " "), "14 h 30 min 12 s");
    }

    #[test]
    fn long_names_are_shortened_where_people_stop_reading() {
        let digest_text = "sha256:3d8b4b54eccd00112233";
        assert_eq!(digest(digest_text), "sha256:3d8b4b54eccd…");
        let reference = format!("registry.pilotis.internal/bonjour/web@{digest_text}");
        assert_eq!(image(&reference), "web@sha256:3d8b4b54eccd…");
        assert_eq!(branch("refs/heads/main"), "main");
        assert_eq!(commit("3f9c2ab7d10e"), "3f9c2ab");
    }
}
