//! Addresses of the Internet as Go's `net/netip` reads them, and what it says of those it refuses.

use crate::literal::quote;

/// Groups of sixteen bits in an address of version 6.
const GROUPS: usize = 8;

/// An address that could be read.
#[derive(Debug, PartialEq, Eq)]
pub struct Address {
    /// Whether it is four decimal numbers.
    pub is_ipv4: bool,
    /// What is behind `%`, which names an interface; mostly empty.
    pub zone: Vec<u8>,
}

impl Address {
    /// `netip.ParseAddr`.
    ///
    /// # Errors
    /// Go's text: `ParseAddr("…"): …`.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let read = match text.iter().find(|b| b".:%".contains(b)) {
            Some(b'.') => four(text).map(|()| Self {
                is_ipv4: true,
                zone: Vec::new(),
            }),
            Some(b':') => six(text),
            Some(_) => Err(Complaint::of("missing IPv6 address")),
            None => Err(Complaint::of("unable to parse IP")),
        };
        read.map_err(|complaint| complaint.told(text))
    }
}

/// What is wrong, and from where.
struct Complaint<'a> {
    what: &'static str,
    at: &'a [u8],
}

impl<'a> Complaint<'a> {
    fn of(what: &'static str) -> Self {
        Self { what, at: b"" }
    }

    fn at(what: &'static str, at: &'a [u8]) -> Self {
        Self { what, at }
    }

    fn told(&self, text: &[u8]) -> String {
        let (text, what) = (quote(text), self.what);
        match self.at {
            [] => format!("ParseAddr({text}): {what}"),
            at => format!("ParseAddr({text}): {what} (at {})", quote(at)),
        }
    }
}

/// Four decimal numbers with dots between them.
fn four(text: &[u8]) -> Result<(), Complaint<'_>> {
    let (mut value, mut digits, mut dots) = (0u32, 0, 0);
    for (index, byte) in text.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                if digits == 1 && value == 0 {
                    return Err(Complaint::of("IPv4 field has octet with leading zero"));
                }
                value = value * 10 + u32::from(byte - b'0');
                digits += 1;
                if value > 255 {
                    return Err(Complaint::of("IPv4 field has value >255"));
                }
            }
            b'.' => {
                if digits == 0 || index + 1 == text.len() {
                    let what = "IPv4 field must have at least one digit";
                    return Err(Complaint::at(what, &text[index..]));
                }
                if dots == 3 {
                    return Err(Complaint::of("IPv4 address too long"));
                }
                (value, digits, dots) = (0, 0, dots + 1);
            }
            _ => return Err(Complaint::at("unexpected character", &text[index..])),
        }
    }
    match dots {
        3 => Ok(()),
        _ => Err(Complaint::of("IPv4 address too short")),
    }
}

fn six(text: &[u8]) -> Result<Address, Complaint<'_>> {
    let (groups, zone) = match text.iter().position(|b| *b == b'%') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &b""[..]),
    };
    if zone.is_empty() && groups.len() < text.len() {
        return Err(Complaint::of("zone must be a non-empty string"));
    }
    check_groups(groups)?;
    Ok(Address {
        is_ipv4: false,
        zone: zone.to_vec(),
    })
}

fn check_groups(text: &[u8]) -> Result<(), Complaint<'_>> {
    let (mut rest, mut is_shortened) = match text.strip_prefix(b"::") {
        Some([]) => return Ok(()),
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let mut count = 0;
    while count < GROUPS {
        let end = check_group(rest)?;
        if rest.get(end) == Some(&b'.') {
            check_last_four(rest, count, is_shortened)?;
            (rest, count) = (b"", count + 2);
            break;
        }
        count += 1;
        rest = match &rest[end..] {
            [] => {
                rest = b"";
                break;
            }
            [b':'] => {
                let what = "colon must be followed by more characters";
                return Err(Complaint::at(what, b":"));
            }
            [b':', after @ ..] => after,
            other => return Err(Complaint::at("unexpected character, want colon", other)),
        };
        if let [b':', after @ ..] = rest {
            if is_shortened {
                return Err(Complaint::at("multiple :: in address", rest));
            }
            (is_shortened, rest) = (true, after);
            if rest.is_empty() {
                break;
            }
        }
    }
    if !rest.is_empty() {
        return Err(Complaint::at("trailing garbage after address", rest));
    }
    match (count < GROUPS, is_shortened) {
        (true, false) => Err(Complaint::of("address string too short")),
        (false, true) => {
            let what = "the :: must expand to at least one field of zeros";
            Err(Complaint::of(what))
        }
        _ => Ok(()),
    }
}

/// Up to four hexadecimal digits; gives how many.
fn check_group(text: &[u8]) -> Result<usize, Complaint<'_>> {
    let digits = text.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    match digits {
        0 => {
            let what = "each colon-separated field must have at least one digit";
            Err(Complaint::at(what, text))
        }
        1..=4 => Ok(digits),
        _ => {
            let what = "each group must have 4 or less digits";
            Err(Complaint::at(what, text))
        }
    }
}

/// Four decimal numbers in place of the last two groups.
fn check_last_four(text: &[u8], before: usize, is_shortened: bool) -> Result<(), Complaint<'_>> {
    if !is_shortened && before != GROUPS - 2 {
        let what = "embedded IPv4 address must replace the final 2 fields of the address";
        return Err(Complaint::at(what, text));
    }
    if before + 2 > GROUPS {
        let what = "too many hex fields to fit an embedded IPv4 at the end of the address";
        return Err(Complaint::at(what, text));
    }
    four(text)
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn addresses_are_read_as_by_go() {
        let zone = Address::parse(b"fe80::1%eth0").map(|address| address.zone);
        assert_eq!(zone, Ok(b"eth0".to_vec()));
        let is_ipv4 = Address::parse(b"1.2.3.4").map(|address| address.is_ipv4);
        assert_eq!(is_ipv4, Ok(true));
    }

    #[test]
    fn what_is_no_address_is_told_as_by_go() {
        let rows = [
            ("x", "unable to parse IP"),
            ("%1", "missing IPv6 address"),
            ("::", ""),
            ("1:2:3:4:5:6:7:8", ""),
            ("::ffff:1.2.3.4", ""),
            ("fe80::1%eth0", ""),
            ("::1%", "zone must be a non-empty string"),
            (
                "12345::",
                "each group must have 4 or less digits (at \"12345::\")",
            ),
            (
                ":1",
                "each colon-separated field must have at least one digit (at \":1\")",
            ),
            ("1:2", "address string too short"),
            ("1:", "colon must be followed by more characters (at \":\")"),
            ("1::2::3", "multiple :: in address (at \":3\")"),
            (
                "1:2:3:4:5:6:7:8:9",
                "trailing garbage after address (at \"9\")",
            ),
            (
                "1:2:3:4:5:6:7::8",
                "the :: must expand to at least one field of zeros",
            ),
            ("1:2x:3", "unexpected character, want colon (at \"x:3\")"),
            (
                "1:2.3.4.5",
                "embedded IPv4 address must replace the final 2 fields of the address (at \"2.3.4.5\")",
            ),
            (
                "1:2:3:4:5:6:7::1.2.3.4",
                "too many hex fields to fit an embedded IPv4 at the end of the address (at \"1.2.3.4\")",
            ),
            ("::1.2.3", "IPv4 address too short"),
            ("::1.2.3.256", "IPv4 field has value >255"),
            ("::1.02.3.4", "IPv4 field has octet with leading zero"),
            (
                "::1..2.3",
                "IPv4 field must have at least one digit (at \".2.3\")",
            ),
            ("::1.2.3.4.5", "IPv4 address too long"),
            ("::1.2.3.4x", "unexpected character (at \"x\")"),
        ];
        for (text, expected) in rows {
            let told = Address::parse(text.as_bytes()).err();
            let told = told.as_deref().and_then(|told| told.split_once("): "));
            assert_eq!(told.map_or("", |(_, why)| why), expected, "{text}");
        }
    }
}
