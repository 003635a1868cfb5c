//! Times and durations as Go and `kubectl` write them.
//!
//! Reads RFC 3339 and Go's duration text, writes upstream's canonical forms, and the short ages of
//! tables (`5m`, `2d3h`). Never asks what time it is.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A time as `metav1.Time` writes it: UTC, whole seconds, fractions cut off.
pub fn canonical_seconds(text: &str) -> Option<String> {
    parse(text).map(seconds)
}

/// A time as `metav1.MicroTime` reads and writes it: exactly six decimals.
pub fn canonical_micros(text: &str) -> Option<String> {
    let fraction = text.get(19..)?.strip_prefix('.')?;
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    (digits == 6).then(|| parse(text).map(micros))?
}

/// RFC 3339 in whole seconds.
pub fn seconds(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC)
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

/// RFC 3339 in microseconds.
pub fn micros(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC)
        .strftime("%Y-%m-%dT%H:%M:%S.%6fZ")
        .to_string()
}

/// Reads RFC 3339 strictly: capital `T`, a zone, no leap second.
pub fn parse(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let shaped = bytes.len() >= 20 && bytes[4] == b'-' && bytes[10] == b'T' && bytes[13] == b':';
    if !shaped || text.contains('[') {
        return None;
    }
    text.parse().ok()
}

/// Go's message for a text that is not RFC 3339.
pub fn parse_message(text: &str) -> String {
    go_message(text, "2006-01-02T15:04:05Z07:00")
}

/// The same for times with microseconds.
pub fn parse_message_micros(text: &str) -> String {
    go_message(text, "2006-01-02T15:04:05.000000Z07:00")
}

fn go_message(text: &str, layout: &str) -> String {
    const ELEMENTS: [(&str, usize); 13] = [
        ("2006", 4),
        ("-", 1),
        ("01", 2),
        ("-", 1),
        ("02", 2),
        ("T", 1),
        ("15", 2),
        (":", 1),
        ("04", 2),
        (":", 1),
        ("05", 2),
        (".000000", 7),
        ("Z07:00", 1),
    ];
    let mut rest = text;
    for (element, length) in ELEMENTS {
        if element == ".000000" && !layout.contains(element) {
            let fraction = rest.strip_prefix('.').unwrap_or("");
            let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
            rest = if digits > 0 {
                &fraction[digits..]
            } else {
                rest
            };
            continue;
        }
        let part = rest.get(..length);
        let good = part.is_some_and(|part| match element {
            "-" | "T" | ":" => part == element,
            "Z07:00" => matches!(part, "Z" | "+" | "-"),
            ".000000" => part
                .strip_prefix('.')
                .is_some_and(|d| d.bytes().all(|b| b.is_ascii_digit())),
            _ => part.bytes().all(|b| b.is_ascii_digit()),
        });
        if !good {
            return format!(
                "parsing time {text:?} as {layout:?}: cannot parse {rest:?} as {element:?}"
            );
        }
        rest = &rest[length..];
    }
    format!("parsing time {text:?} as {layout:?}: out of range")
}

/// Reads Go's duration text, such as `1h30m` or `1.5s`, in nanoseconds.
pub fn go_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0_f64;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let unit = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        total += number * unit_nanos(&rest[..unit])?;
        rest = &rest[unit..];
    }
    #[allow(clippy::cast_possible_truncation)]
    let nanos = total.round() as i64;
    (total < 9.2e18).then_some(if negative { -nanos } else { nanos })
}

fn unit_nanos(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1.0,
        "us" | "µs" | "μs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        "h" => 3600e9,
        _ => return None,
    })
}

/// A duration as Go prints it: `1h0m0s`, `1.5s`, `250ms`.
pub fn go_duration_text(nanos: i64) -> String {
    if nanos == 0 {
        return "0s".to_owned();
    }
    let sign = if nanos < 0 { "-" } else { "" };
    let total = nanos.unsigned_abs();
    let small = |unit: u64, name: &str| format!("{sign}{}{name}", decimal(total, unit));
    match total {
        0..1_000 => return small(1, "ns"),
        1_000..1_000_000 => return small(1_000, "µs"),
        1_000_000..1_000_000_000 => return small(1_000_000, "ms"),
        _ => {}
    }
    let minutes = total / 60_000_000_000;
    let rest = decimal(total % 60_000_000_000, 1_000_000_000);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{rest}s"),
        (0, m) => format!("{sign}{m}m{rest}s"),
        (h, m) => format!("{sign}{h}h{m}m{rest}s"),
    }
}

fn decimal(value: u64, unit: u64) -> String {
    let width = unit.to_string().len() - 1;
    let fraction = format!("{:0width$}", value % unit);
    let fraction = fraction.trim_end_matches('0');
    if unit == 1 || fraction.is_empty() {
        return (value / unit).to_string();
    }
    format!("{}.{fraction}", value / unit)
}

/// The age of `then` as a table shows it; `<unknown>` without a time.
pub fn age(then: Option<&str>, now: Timestamp) -> String {
    match then.and_then(parse) {
        Some(time) => human(now.as_second() - time.as_second()),
        None => "<unknown>".to_owned(),
    }
}

/// Seconds as upstream shows them to people: two units at most, coarser with age.
pub fn human(seconds: i64) -> String {
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    if seconds < 0 {
        return "0s".to_owned();
    }
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let days = hours / 24;
    let pair = |big: i64, unit: &str, small: i64, name: &str| match small {
        0 => format!("{big}{unit}"),
        _ => format!("{big}{unit}{small}{name}"),
    };
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => pair(minutes, "m", seconds % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => pair(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if hours < 192 => pair(days, "d", hours % 24, "h"),
        () if hours < 24 * 365 * 2 => format!("{days}d"),
        () if hours < 24 * 365 * 8 => pair(days / 365, "y", days % 365, "d"),
        () => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_get_coarser_as_upstream() {
        for (seconds, text) in [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (121, "2m1s"),
            (599, "9m59s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (10_860, "3h1m"),
            (28_800, "8h"),
            (172_799, "47h"),
            (172_800, "2d"),
            (176_400, "2d1h"),
            (691_200, "8d"),
            (63_072_000, "2y"),
            (63_158_400, "2y1d"),
            (252_288_000, "8y"),
        ] {
            assert_eq!(human(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn durations_are_written_as_go_does() {
        for (text, canonical) in [
            ("1h", "1h0m0s"),
            ("90s", "1m30s"),
            ("1.5s", "1.5s"),
            ("250ms", "250ms"),
            ("0", "0s"),
            ("-1m", "-1m0s"),
        ] {
            assert_eq!(go_duration_text(go_duration(text).unwrap()), canonical);
        }
        assert_eq!(go_duration("5"), None);
    }

    #[test]
    fn bad_times_are_named_as_go_names_them() {
        assert_eq!(
            parse_message("yesterday"),
            "parsing time \"yesterday\" as \"2006-01-02T15:04:05Z07:00\": \
             cannot parse \"yesterday\" as \"2006\""
        );
        assert_eq!(
            canonical_seconds("2024-01-01T01:02:03.9+01:00").unwrap(),
            "2024-01-01T00:02:03Z"
        );
    }
}
