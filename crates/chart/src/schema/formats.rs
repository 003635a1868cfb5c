//! Formats of texts, read and told as the validator Helm has does it.
//!
//! Ours takes other texts for a URL, a time or an address, and has words of its own. Helm's knows
//! no `idn-hostname` and `idn-email`: whatever is such a text.

use std::error::Error;

use boon::{Compiler, Format};
use pilotis_template::{Address, Url, quote, quote_rune, time_complaint};
use serde_json::Value as Json;

/// What is wrong with a text.
type Judged = Result<(), String>;

/// Registers every format; `regex` stays the validator's own, told by the patterns' rules.
pub(super) fn register(compiler: &mut Compiler) {
    macro_rules! formats {
        ($($name:literal: $judge:expr),* $(,)?) => {
            $(compiler.register_format(Format {
                name: $name,
                func: |value| text_is(value, $judge),
            });)*
        };
    }
    formats! {
        "json-pointer": json_pointer,
        "relative-json-pointer": relative_json_pointer,
        "uuid": uuid,
        "duration": duration,
        "period": period,
        "ipv4": ipv4,
        "ipv6": ipv6,
        "hostname": hostname,
        "idn-hostname": |_| Ok(()),
        "email": email,
        "idn-email": |_| Ok(()),
        "date": date,
        "time": time,
        "date-time": date_time,
        "uri": uri,
        "iri": uri,
        "uri-reference": uri_reference,
        "iri-reference": uri_reference,
        "uri-template": uri_template,
        "semver": semver,
    }
}

/// What is no text has every format.
fn text_is(value: &Json, judge: fn(&str) -> Judged) -> Result<(), Box<dyn Error>> {
    let text = value.as_str();
    text.map_or(Ok(()), judge).map_err(Into::into)
}

fn refuse(why: &str) -> Judged {
    Err(why.to_owned())
}

/// What is wrong with a part.
fn part(name: &str, judged: Judged) -> Judged {
    judged.map_err(|why| format!("invalid {name}: {why}"))
}

fn json_pointer(text: &str) -> Judged {
    if !text.is_empty() && !text.starts_with('/') {
        return refuse("not starting with /");
    }
    let mut after_tilde = text.split('~').skip(1);
    match after_tilde.all(|rest| rest.starts_with(['0', '1'])) {
        true => Ok(()),
        false => refuse("~ must be followed by 0 or 1"),
    }
}

fn relative_json_pointer(text: &str) -> Judged {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    match text.len() - rest.len() {
        0 => refuse("must start with non-negative integer"),
        2.. if text.starts_with('0') => refuse("starts with zero"),
        _ if rest == "#" => Ok(()),
        _ => json_pointer(rest),
    }
}

fn uuid(text: &str) -> Judged {
    const LENGTHS: [usize; 5] = [8, 4, 4, 4, 12];
    let groups: Vec<&str> = text.split('-').collect();
    if groups.len() != LENGTHS.len() {
        return refuse("must have 5 elements");
    }
    for (index, (group, length)) in groups.iter().zip(LENGTHS).enumerate() {
        if group.len() != length {
            let element = index + 1;
            return Err(format!(
                "element {element} must be {length} characters long"
            ));
        }
        if let Some(c) = group.chars().find(|c| !c.is_ascii_hexdigit()) {
            return Err(format!("non-hex character {}", quote_rune(c)));
        }
    }
    Ok(())
}

fn duration(text: &str) -> Judged {
    let Some(text) = text.strip_prefix('P') else {
        return refuse("must start with P");
    };
    if text.is_empty() {
        return refuse("nothing after P");
    }
    if let Some(weeks) = text.strip_suffix('W') {
        return match weeks {
            "" => refuse("no number in week"),
            weeks if is_number(weeks) => Ok(()),
            _ => refuse("invalid week"),
        };
    }
    for (index, part) in text.split('T').enumerate() {
        if index > 0 && part.is_empty() {
            return refuse("no time elements");
        }
        match index {
            0 => amounts(part, "YMD")?,
            1 => amounts(part, "HMS")?,
            _ => return refuse("more than one T"),
        }
    }
    Ok(())
}

/// Numbers with units, in their order.
fn amounts(text: &str, all_units: &str) -> Judged {
    let mut units = all_units;
    let mut rest = text;
    while !rest.is_empty() {
        let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        if after.len() == rest.len() {
            return refuse("missing number");
        }
        let Some(unit) = after.bytes().next() else {
            return refuse("missing unit");
        };
        // A byte, whatever character it begins.
        let unit = char::from(unit);
        let Some(at) = units.find(unit) else {
            let unit_shown = quote_rune(unit);
            return match all_units.contains(unit) {
                true => Err(format!("unit {unit_shown} out of order")),
                false => Err(format!("invalid unit {unit_shown}")),
            };
        };
        (units, rest) = (&units[at + 1..], &after[1..]);
    }
    Ok(())
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

fn ipv4(text: &str) -> Judged {
    let groups: Vec<&str> = text.split('.').collect();
    if groups.len() != 4 {
        return refuse("expected four decimals");
    }
    for group in groups {
        if group.len() > 1 && group.starts_with('0') {
            return refuse("leading zeros");
        }
        if !(0..=255).contains(&integer(group)?) {
            return refuse("decimal must be between 0 and 255");
        }
    }
    Ok(())
}

/// `strconv.Atoi`.
fn integer(text: &str) -> Result<i64, String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let why = match text.parse() {
        Ok(number) => return Ok(number),
        Err(_) if !digits.is_empty() && is_number(digits) => "value out of range",
        Err(_) => "invalid syntax",
    };
    let shown = quote(text.as_bytes());
    Err(format!("strconv.Atoi: parsing {shown}: {why}"))
}

fn ipv6(text: &str) -> Judged {
    if !text.contains(':') {
        return refuse("missing colon");
    }
    match Address::parse(text.as_bytes())?.zone.is_empty() {
        true => Ok(()),
        false => refuse("zone id is not a part of ipv6 address"),
    }
}

fn hostname(text: &str) -> Judged {
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.len() > 253 {
        return refuse("more than 253 characters long");
    }
    text.split('.').try_for_each(label)
}

fn label(text: &str) -> Judged {
    if !(1..=63).contains(&text.len()) {
        return refuse("label must be 1 to 63 characters long");
    }
    if text.starts_with('-') {
        return refuse("label starts with hyphen");
    }
    if text.ends_with('-') {
        return refuse("label ends with hyphen");
    }
    only(text, "-", "")
}

/// Whether a text is of letters and digits of ASCII and some more.
fn only(text: &str, more: &str, whose: &str) -> Judged {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
    match text.chars().find(|c| !is_fine(*c)) {
        Some(c) => Err(format!("invalid character {}{whose}", quote_rune(c))),
        None => Ok(()),
    }
}

fn email(text: &str) -> Judged {
    if text.len() > 254 {
        return refuse("more than 255 characters long");
    }
    let Some((local, domain)) = text.rsplit_once('@') else {
        return refuse("missing @");
    };
    if local.len() > 64 {
        return refuse("local part more than 64 characters long");
    }
    local_part(local)?;
    let inside = domain.strip_prefix('[').and_then(|d| d.strip_suffix(']'));
    match inside {
        Some(address) => match address.strip_prefix("IPv6:") {
            Some(address) => part("ipv6 address", ipv6(address)),
            None => part("ipv4 address", ipv4(address)),
        },
        None => part("domain", hostname(domain)),
    }
}

fn local_part(text: &str) -> Judged {
    if text.len() > 1 && text.starts_with('"') {
        // Its last character is taken for the closing quote, whatever it is.
        let inside = &text.as_bytes()[1..text.len() - 1];
        return match inside.iter().any(|b| b"\\\"".contains(b)) {
            true => refuse("backslash and quote are not allowed within quoted local part"),
            false => Ok(()),
        };
    }
    if text.starts_with('.') {
        return refuse("starts with dot");
    }
    if text.ends_with('.') {
        return refuse("ends with dot");
    }
    if text.contains("..") {
        return refuse("consecutive dots");
    }
    only(text, ".!#$%&'*+-/=?^_`{|}~", "")
}

fn date(text: &str) -> Judged {
    time_complaint("2006-01-02", text).map_or(Ok(()), Err)
}

fn time(text: &str) -> Judged {
    let bytes = text.as_bytes();
    if bytes.len() < 9 {
        return refuse("less than 9 characters long");
    }
    if bytes[2] != b':' || bytes[5] != b':' {
        return refuse("missing colon in correct place");
    }
    let clock = [&bytes[..2], &bytes[3..5], &bytes[6..8]];
    let [hour, minute, second] = numbers(clock, "hour/min/sec")?;
    if hour > 23 || minute > 59 || second > 60 {
        return refuse("hour/min/sec out of range");
    }
    let offset = match &bytes[8..] {
        [b'.', fraction @ ..] => {
            let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
            if digits == 0 {
                return refuse("no digits in second fraction");
            }
            &fraction[digits..]
        }
        offset => offset,
    };
    let minutes = (hour * 60 + minute + minutes_to_utc(offset)?).rem_euclid(24 * 60);
    match second >= 60 && minutes != 23 * 60 + 59 {
        true => refuse("invalid leap second"),
        false => Ok(()),
    }
}

/// Two digits each, or a sign and one.
fn numbers<const N: usize>(parts: [&[u8]; N], what: &str) -> Result<[i64; N], String> {
    let mut read = [0; N];
    for (number, part) in read.iter_mut().zip(parts) {
        let text = String::from_utf8_lossy(part);
        *number = integer(&text).map_err(|_| format!("invalid {what}"))?;
        if *number < 0 {
            return Err(format!("non-positive {what}"));
        }
    }
    Ok(read)
}

fn minutes_to_utc(offset: &[u8]) -> Result<i64, String> {
    if matches!(offset, b"z" | b"Z") {
        return Ok(0);
    }
    let &[sign, hour, hour2, colon, minute, minute2] = offset else {
        return Err("offset must be 6 characters long".to_owned());
    };
    let sign = match sign {
        b'+' => -1,
        b'-' => 1,
        _ => return Err("offset must begin with plus/minus".to_owned()),
    };
    if colon != b':' {
        return Err("missing colon in offset in correct place".to_owned());
    }
    let parts = [&[hour, hour2][..], &[minute, minute2]];
    let [hours, minutes] = numbers(parts, "hour/min in offset")?;
    if hours > 23 || minutes > 59 {
        return Err("hour/min in offset out of range".to_owned());
    }
    Ok(sign * (hours * 60 + minutes))
}

fn date_time(text: &str) -> Judged {
    if text.len() < 20 {
        return refuse("less than 20 characters long");
    }
    if !matches!(text.as_bytes()[10], b't' | b'T') {
        return refuse("11th character must be t or T");
    }
    part("date element", date(&text[..10]))?;
    part("time element", time(&text[11..]))
}

fn url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text.as_bytes())?;
    let name = url.hostname();
    if name.contains(&b':') {
        if !(url.host.contains(&b'[') && url.host.contains(&b']')) {
            return Err("ipv6 address not enclosed in brackets".to_owned());
        }
        part("ipv6 address", ipv6(&String::from_utf8_lossy(name)))?;
    }
    Ok(url)
}

fn uri(text: &str) -> Judged {
    match url(text)?.scheme.is_empty() {
        true => refuse("relative url"),
        false => Ok(()),
    }
}

fn uri_reference(text: &str) -> Judged {
    if text.contains('\\') {
        return refuse("contains \\");
    }
    url(text).map(drop)
}

fn uri_template(text: &str) -> Judged {
    let url = url(text)?;
    // Braces may be escaped ones; those of one segment are told apart from the next one's.
    let path = String::from_utf8_lossy(&url.raw_path).into_owned();
    let path = path.replace("%7B", "{").replace("%7b", "{");
    let path = path.replace("%7D", "}").replace("%7d", "}");
    path.split('/').try_for_each(braces)
}

fn braces(segment: &str) -> Judged {
    let mut is_open = false;
    for c in segment.chars().filter(|c| matches!(c, '{' | '}')) {
        if is_open == (c == '{') {
            return refuse("nested curly braces");
        }
        is_open = !is_open;
    }
    match is_open {
        true => refuse("no matching closing brace"),
        false => Ok(()),
    }
}

fn period(text: &str) -> Judged {
    let Some((start, end)) = text.split_once('/') else {
        return refuse("missing slash");
    };
    if start.starts_with('P') {
        part("start duration", duration(start))?;
        return part("end date-time", date_time(end));
    }
    part("start date-time", date_time(start))?;
    match end.starts_with('P') {
        true => part("end duration", duration(end)),
        false => part("end date-time", date_time(end)),
    }
}

fn semver(text: &str) -> Judged {
    let (text, build) = match text.split_once('+') {
        Some((text, build)) => (text, Some(build)),
        None => (text, None),
    };
    if build == Some("") {
        return refuse("build is empty");
    }
    for identifier in build.into_iter().flat_map(|build| build.split('.')) {
        if identifier.is_empty() {
            return refuse("build identifier is empty");
        }
        only(identifier, "-", " in build identifier")?;
    }
    let (core, before) = match text.split_once('-') {
        Some((core, before)) => (core, Some(before)),
        None => (text, None),
    };
    let before = before.into_iter().flat_map(|before| before.split('.'));
    before.into_iter().try_for_each(pre_release)?;
    let numbers: Vec<&str> = core.split('.').collect();
    if numbers.len() != 3 {
        return refuse("versionCore must have 3 numbers separated by dot");
    }
    let named = ["major", "minor", "patch"].into_iter().zip(numbers);
    for (name, number) in named {
        if number.is_empty() {
            return Err(format!("{name} is empty"));
        }
        if number.len() > 1 && number.starts_with('0') {
            return Err(format!("{name} starts with zero"));
        }
        if !is_number(number) {
            return Err(format!("{name} contains non-digit"));
        }
    }
    Ok(())
}

fn pre_release(identifier: &str) -> Judged {
    if identifier.is_empty() {
        return refuse("pre-release identifier is empty");
    }
    only(identifier, "-", " in pre-release identifier")?;
    if identifier.len() > 1 && identifier.starts_with('0') && is_number(identifier) {
        return refuse("pre-release numeric identifier starts with zero");
    }
    Ok(())
}
#[cfg(test)]
mod tests {
    use serde_json::json;

    /// What the validator Helm has (`jsonschema` 6.0.2, Go 1.26) says of texts.
    const TOLD: &[(&str, &str, &str)] = &[
        ("json-pointer", "a", "not starting with /"),
        ("json-pointer", "/~2", "~ must be followed by 0 or 1"),
        (
            "relative-json-pointer",
            "x",
            "must start with non-negative integer",
        ),
        ("relative-json-pointer", "01", "starts with zero"),
        ("uuid", "1-2", "must have 5 elements"),
        (
            "uuid",
            "123e4567-e89b-12d3-a456-42661417400",
            "element 5 must be 12 characters long",
        ),
        (
            "uuid",
            "123e4567-e89b-12d3-a456-42661417400g",
            "non-hex character 'g'",
        ),
        ("duration", "1D", "must start with P"),
        ("duration", "P", "nothing after P"),
        ("duration", "P1W2W", "invalid week"),
        ("duration", "P1DT", "no time elements"),
        ("duration", "P1DT1ST", "no time elements"),
        ("duration", "PD", "missing number"),
        ("duration", "P1", "missing unit"),
        ("duration", "P1D1Y", "unit 'Y' out of order"),
        ("duration", "P1é", "invalid unit 'Ã'"),
        ("ipv4", "1.2.3", "expected four decimals"),
        ("ipv4", "1.2.3.04", "leading zeros"),
        (
            "ipv4",
            "1.2.3.x",
            "strconv.Atoi: parsing \"x\": invalid syntax",
        ),
        (
            "ipv4",
            "1.2.3.99999999999999999999",
            "strconv.Atoi: parsing \"99999999999999999999\": value out of range",
        ),
        ("ipv4", "1.2.3.256", "decimal must be between 0 and 255"),
        ("ipv6", "1", "missing colon"),
        (
            "ipv6",
            "fe80::1%eth0",
            "zone id is not a part of ipv6 address",
        ),
        (
            "ipv6",
            "1::2::",
            "ParseAddr(\"1::2::\"): multiple :: in address (at \":\")",
        ),
        ("hostname", "a..b", "label must be 1 to 63 characters long"),
        ("hostname", "-a", "label starts with hyphen"),
        ("hostname", "a-", "label ends with hyphen"),
        ("hostname", "a_b", "invalid character '_'"),
        ("email", "a", "missing @"),
        (
            "email",
            "\"a\\b\"@c",
            "backslash and quote are not allowed within quoted local part",
        ),
        ("email", ".a@b", "starts with dot"),
        ("email", "a.@b", "ends with dot"),
        ("email", "a..b@c", "consecutive dots"),
        ("email", "a b@c", "invalid character ' '"),
        ("email", "a@[IPv6:1]", "invalid ipv6 address: missing colon"),
        (
            "email",
            "a@[1.2]",
            "invalid ipv4 address: expected four decimals",
        ),
        ("email", "a@b_c", "invalid domain: invalid character '_'"),
        (
            "date",
            "2020-02-30",
            "parsing time \"2020-02-30\": day out of range",
        ),
        (
            "date",
            "2020/01/01",
            "parsing time \"2020/01/01\" as \"2006-01-02\": cannot parse \"/01/01\" as \"-\"",
        ),
        ("time", "12:34Z", "less than 9 characters long"),
        ("time", "12-34-56Z", "missing colon in correct place"),
        ("time", "1x:34:56Z", "invalid hour/min/sec"),
        ("time", "24:00:00Z", "hour/min/sec out of range"),
        ("time", "12:34:56.Z", "no digits in second fraction"),
        ("time", "12:34:56+1", "offset must be 6 characters long"),
        (
            "time",
            "12:34:56x01:00",
            "offset must begin with plus/minus",
        ),
        (
            "time",
            "12:34:56+01-00",
            "missing colon in offset in correct place",
        ),
        ("time", "12:34:56+24:00", "hour/min in offset out of range"),
        ("time", "12:34:60Z", "invalid leap second"),
        ("date-time", "2020-01-01", "less than 20 characters long"),
        (
            "date-time",
            "2020-01-01 00:00:00Z",
            "11th character must be t or T",
        ),
        (
            "date-time",
            "2020-13-01T00:00:00Z",
            "invalid date element: parsing time \"2020-13-01\": month out of range",
        ),
        (
            "date-time",
            "2020-01-01T25:00:00Z",
            "invalid time element: hour/min/sec out of range",
        ),
        ("uri", "/a", "relative url"),
        (
            "uri",
            "x://[g]",
            "parse \"x://[g]\": invalid host: ParseAddr(\"g\"): unable to parse IP",
        ),
        (
            "uri",
            "x://h%zz",
            "parse \"x://h%zz\": invalid URL escape \"%zz\"",
        ),
        ("uri-reference", "a\\b", "contains \\"),
        ("uri-template", "/{{a}}", "nested curly braces"),
        ("uri-template", "/{a", "no matching closing brace"),
        ("period", "x", "missing slash"),
        (
            "period",
            "P/2020-01-01T00:00:00Z",
            "invalid start duration: nothing after P",
        ),
        (
            "period",
            "P1D/x",
            "invalid end date-time: less than 20 characters long",
        ),
        (
            "period",
            "x/P1D",
            "invalid start date-time: less than 20 characters long",
        ),
        (
            "semver",
            "1.2",
            "versionCore must have 3 numbers separated by dot",
        ),
        ("semver", "1.2.x", "patch contains non-digit"),
        ("semver", "1..3", "minor is empty"),
        ("semver", "01.2.3", "major starts with zero"),
        ("semver", "1.2.3+", "build is empty"),
        ("semver", "1.2.3+a..b", "build identifier is empty"),
        (
            "semver",
            "1.2.3+a_b",
            "invalid character '_' in build identifier",
        ),
        ("semver", "1.2.3-", "pre-release identifier is empty"),
        (
            "semver",
            "1.2.3-01",
            "pre-release numeric identifier starts with zero",
        ),
        (
            "semver",
            "1.2.3-a_b",
            "invalid character '_' in pre-release identifier",
        ),
    ];

    fn judged(format: &str, text: &str) -> Result<(), String> {
        // Newer drafts take a format for a remark.
        let draft = "http://json-schema.org/draft-07/schema#";
        let schema = json!({"$schema": draft, "properties": {"v": {"format": format}}});
        crate::schema::validate(&schema.to_string(), &json!({ "v": text }), &mut Vec::new())
    }

    #[test]
    fn texts_that_have_no_format_are_told_as_helm_tells_them() {
        for (format, text, why) in TOLD {
            let shown = super::super::words::quoted(text);
            let expected = format!("- at '/v': {shown} is not valid {format}: {why}\n");
            assert_eq!(judged(format, text), Err(expected));
        }
    }

    #[test]
    fn texts_have_the_formats_helm_finds() {
        let fine = [
            ("uri", "postgres://a:1/a b"),
            ("uri-reference", "//h:/é"),
            ("uri-template", "http://h/{a}/%7Bb%7D"),
            ("email", "\"a b\"@[IPv6:::1]"),
            ("ipv4", "1.2.3.+4"),
            ("ipv6", "::ffff:1.2.3.4"),
            ("hostname", "a.b."),
            ("idn-email", "x"),
            ("idn-hostname", "-"),
            ("time", "00:59:60+01:00"),
            ("date-time", "2020-02-29t23:59:60.5z"),
            ("duration", "P1Y2DT3S"),
            ("period", "2020-01-01T00:00:00Z/P1W"),
            ("semver", "1.2.3-a.0+01"),
            ("json-pointer", "/a~0~1"),
            ("relative-json-pointer", "0#"),
            ("unknown", "x"),
        ];
        for (format, text) in fine {
            assert_eq!(judged(format, text), Ok(()), "{format} {text}");
        }
    }
}
