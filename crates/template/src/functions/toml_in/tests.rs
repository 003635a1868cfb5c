//! Rows are what Helm 4.2.4 printed of these texts.

use proptest::prelude::*;

use super::{DEPTH_MAX, from_toml};
use crate::format::print_value;
use crate::value::{ListKind, Value};

/// A text, and what Helm says of it.
type Row = (&'static [u8], &'static str);

fn printed(text: &[u8]) -> String {
    String::from_utf8_lossy(&print_value(&from_toml(text))).into_owned()
}

fn check_mistakes(rows: &[Row]) {
    for (text, expected) in rows {
        let expected = format!("map[Error:toml: {expected}]");
        assert_eq!(printed(text), expected, "{}", text.escape_ascii());
    }
}

/// Keys that are none, and what is told as the last key.
const KEYS: &[Row] = &[
    (b"a", "line 1: unexpected EOF; expected key separator '='"),
    (b"a b=1", "line 1: expected '.' or '=', but got 'b' instead"),
    (
        b"a\n=1",
        "line 1: expected '.' or '=', but got '\\n' instead",
    ),
    (
        b"a\r\n=1",
        "line 1: expected '.' or '=', but got '\\r' instead",
    ),
    (b"= 1", "line 1: unexpected '=': key name appears blank"),
    (
        b".a=1",
        "line 1: unexpected '.': keys cannot start with a '.'",
    ),
    (b"a. = 1", "line 1: unexpected '='"),
    (b"a..b=1", "line 1: unexpected '.'"),
    (
        b"a.\nb=1",
        "line 1: expected '.' or '=', but got '\\n' instead",
    ),
    (
        b"a={b=1, =2}",
        "line 1 (last key \"a.b\"): unexpected '=': key name appears blank",
    ),
    (
        b"a={b",
        "line 1 (last key \"a\"): unexpected EOF; expected key separator '='",
    ),
    (
        b"\"a b\".c=x",
        "line 1 (last key \"\\\"a b\\\".c\"): expected value but found \"x\" instead",
    ),
    (b"''=x", "line 1: expected value but found \"x\" instead"),
    (
        b"\"a.b\".'c\\d'.e=x",
        "line 1 (last key \"\\\"a.b\\\".\\\"c\\\\\\\\d\\\".e\"): expected value but found \
         \"x\" instead",
    ),
    (
        b"\"a\\nb\".c=x",
        "line 1 (last key \"\\\"a\\\\nb\\\".c\"): expected value but found \"x\" instead",
    ),
    (
        b"a={b.c=1, d.e=x}",
        "line 1 (last key \"a.d.e\"): expected value but found \"x\" instead",
    ),
    (
        b"a={b=1, c",
        "line 1 (last key \"a.b\"): unexpected EOF; expected key separator '='",
    ),
    (
        b"\xc3\xa9=1",
        "line 1: expected '.' or '=', but got 'é' instead",
    ),
    (
        b"[a]\n\"\\q\"=1",
        "line 2 (last key \"a\"): invalid escape in string '\\q'",
    ),
];

/// Headers of tables.
const TABLES: &[Row] = &[
    (
        b"[t",
        "line 1: expected '.' or ']' to end table name, but got '\\x00' instead",
    ),
    (
        b"[]",
        "line 1: unexpected end of table name (table names cannot be empty)",
    ),
    (
        b"[a.]",
        "line 1: unexpected end of table name (table names cannot be empty)",
    ),
    (
        b"[.a]",
        "line 1: unexpected table separator (table names cannot be empty)",
    ),
    (
        b"[a..b]",
        "line 1: unexpected table separator (table names cannot be empty)",
    ),
    (
        b"[[a]",
        "line 1: expected end of table array name delimiter ']', but got '\\x00' instead",
    ),
    (
        b"[[a",
        "line 1: expected '.' or ']' to end table name, but got '\\x00' instead",
    ),
    (
        b"[a\n]",
        "line 2: expected '.' or ']' to end table name, but got '\\n' instead",
    ),
    (
        b"[a]x",
        "line 1 (last key \"a\"): expected a top-level item to end with a newline, \
         comment, or EOF, but got 'x' instead",
    ),
    (
        b"[x.y]\n[",
        "line 2 (last key \"x.y\"): unexpected end of table name (table names cannot be empty)",
    ),
    (
        b"[x.y]\nb=",
        "line 2 (last key \"x.y.b\"): unexpected EOF; expected value",
    ),
    (
        b"[ \"a b\" ]\nc=x",
        "line 2 (last key \"\\\"a b\\\".c\"): expected value but found \"x\" instead",
    ),
];

/// Keys said again, or said of what is no table.
const AGAIN: &[Row] = &[
    (
        b"a=1\na=2",
        "line 2 (last key \"a\"): Key 'a' has already been defined.",
    ),
    (
        b"a=1\na.b=2",
        "line 2 (last key \"a.b\"): Key 'a' has already been defined.",
    ),
    (
        b"a=1\na.b.c=2",
        "line 2 (last key \"a.c\"): Key 'a' was already created as a hash.",
    ),
    (
        b"[a]\nb=1\n[a.b]",
        "line 3 (last key \"a\"): Key 'a.b' has already been defined.",
    ),
    (b"[a]\n[a]", "line 2: Key 'a' has already been defined."),
    (
        b"[x.y]\n[x]\n[x]",
        "line 3: Key 'x' has already been defined.",
    ),
    (b"[[a]]\n[a]", "line 2: Key 'a' has already been defined."),
    (
        b"[a]\n[[a]]",
        "line 2: Key 'a' was already created and cannot be used as an array.",
    ),
    (
        b"a=1\n[a.b.c]",
        "line 2: Key 'a' was already created as a hash.",
    ),
    (
        b"a={b=1}\na.c=2\na=3",
        "line 3 (last key \"a\"): Key 'a' has already been defined.",
    ),
    (
        b"a={b=1,\n\nb=2}",
        "line 3 (last key \"a.b\"): Key 'a.b' has already been defined.",
    ),
    (
        b"a=[{b=1,b=2}]",
        "line 1 (last key \"a.b\"): Key 'a.b' has already been defined.",
    ),
    (
        b"a={b=[\n\n{c=1}\n],\n\nb=2}",
        "line 6 (last key \"a.b\"): Key 'a.b' has already been defined.",
    ),
    (
        b"a=1\na={}",
        "line 2 (last key \"a\"): Key 'a' has already been defined.",
    ),
    (
        b"a=1\na.b={}",
        "line 2 (last key \"a.b\"): Key 'a' was already created as a hash.",
    ),
    (
        b"a.x=1\na=[{b=1}]",
        "line 2: Key 'a' was already created and cannot be used as an array.",
    ),
    (
        b"a=[{b=[],b.c=1}]",
        "line 1 (last key \"a.b.c\"): \"a.b\" is not a table",
    ),
    (
        b"[[t]]\nx=1\n[[t.x]]",
        "line 3 (last key \"t\"): Key 't.x' was already created and cannot be used as an array.",
    ),
    (
        b"a={b.c=1,b.c=2}",
        "line 1 (last key \"a.b.c\"): Key 'a.b.c' has already been defined.",
    ),
    (
        b"[t]\n''=[{a=1}]\n''=2",
        "line 3 (last key \"t\"): Key 't.\"\"' has already been defined.",
    ),
];

/// Where no value stands.
const VALUES: &[Row] = &[
    (
        b"a =",
        "line 1 (last key \"a\"): unexpected EOF; expected value",
    ),
    (
        b"a=\n",
        "line 1 (last key \"a\"): expected value but found '\\n' instead",
    ),
    (
        b"a=\n\n",
        "line 1 (last key \"a\"): expected value but found '\\n' instead",
    ),
    (
        b"a=[\n\n",
        "line 2 (last key \"a\"): unexpected EOF; expected value",
    ),
    (
        b"a=\r\n",
        "line 1 (last key \"a\"): expected value but found '\\r' instead",
    ),
    (
        b"a=.5",
        "line 1 (last key \"a\"): floats must start with a digit, not '.'",
    ),
    (
        b"a=tru",
        "line 1 (last key \"a\"): expected value but found \"tru\" instead",
    ),
    (
        b"a=\xc3\xa91",
        "line 1 (last key \"a\"): expected value but found \"é\" instead",
    ),
    (
        b"a=\xe2\x85\xa7",
        "line 1 (last key \"a\"): expected value but found 'Ⅷ' instead",
    ),
    (
        b"a=in1",
        "line 1 (last key \"a\"): expected value but found \"n\" instead",
    ),
    (
        b"a=nan1",
        "line 1: expected a top-level item to end with a newline, comment, or EOF, but \
         got '1' instead",
    ),
    (
        b"a=nnf",
        "line 1 (last key \"a\"): Invalid float value: \"nnf\"",
    ),
    (
        b"a=ian",
        "line 1 (last key \"a\"): Invalid float \"ian\": underscores must be surrounded \
         by digits",
    ),
    (
        b"a=\xc2\xad",
        "line 1 (last key \"a\"): expected value but found '\\u00ad' instead",
    ),
    (
        b"a='x'y",
        "line 1: expected a top-level item to end with a newline, comment, or EOF, but \
         got 'y' instead",
    ),
    (
        b"a=1 # c\nb",
        "line 2: unexpected EOF; expected key separator '='",
    ),
];

/// Arrays and inline tables.
const LISTS: &[Row] = &[
    (b"a=[,", "line 1 (last key \"a\"): unexpected comma"),
    (b"a=[1,,2]", "line 1 (last key \"a\"): unexpected comma"),
    (
        b"a=[1 2]",
        "line 1 (last key \"a\"): expected a comma (',') or array terminator (']'), but got '2'",
    ),
    (
        b"a=[1",
        "line 1 (last key \"a\"): expected a comma (',') or array terminator (']'), but \
         got end of file",
    ),
    (
        b"a=[1\n",
        "line 1 (last key \"a\"): expected a comma (',') or array terminator (']'), but \
         got end of file",
    ),
    (
        b"a=[\xc3\xa9",
        "line 1 (last key \"a\"): expected value but found \"é\" instead",
    ),
    (b"a={,}", "line 1 (last key \"a\"): unexpected comma"),
    (b"a={b=1,,}", "line 1 (last key \"a.b\"): unexpected comma"),
    (
        b"a={b=1 c=2}",
        "line 1 (last key \"a.b\"): expected a comma or an inline table terminator '}', \
         but got 'c' instead",
    ),
    (
        b"a={b=1",
        "line 1 (last key \"a.b\"): expected a comma or an inline table terminator '}', \
         but got end of file instead",
    ),
    (
        b"a={b=1\n",
        "line 1 (last key \"a.b\"): expected a comma or an inline table terminator '}', \
         but got end of file instead",
    ),
    (
        b"a={b=1 \xc3\xa9}",
        "line 1 (last key \"a.b\"): expected a comma or an inline table terminator '}', \
         but got 'é' instead",
    ),
];

/// Numbers.
const NUMBERS: &[Row] = &[
    (
        b"a=0x",
        "line 1 (last key \"a\"): not a hexadecimal number: '0x\u{0}'",
    ),
    (
        b"a=0xg",
        "line 1 (last key \"a\"): not a hexadecimal number: '0xg'",
    ),
    (
        b"a=0b2",
        "line 1 (last key \"a\"): not a binary number: '0b2'",
    ),
    (
        b"a=0o8\n",
        "line 1 (last key \"a\"): not an octal number: '0o8'",
    ),
    (
        b"a=+0x1",
        "line 1 (last key \"a\"): cannot use sign with non-decimal numbers: '+0x'",
    ),
    (
        b"a=+",
        "line 1 (last key \"a\"): expected a digit but got '\\x00'",
    ),
    (
        b"a=-\n",
        "line 2 (last key \"a\"): expected a digit but got '\\n'",
    ),
    (
        b"a=+x",
        "line 1 (last key \"a\"): expected a digit but got 'x'",
    ),
    (b"a=-in", "line 1 (last key \"a\"): invalid float: '-in'"),
    (b"a=+n", "line 1 (last key \"a\"): invalid float: '+n'"),
    (
        b"a=-.5",
        "line 1 (last key \"a\"): floats must start with a digit, not '.'",
    ),
    (
        b"a=1__0",
        "line 1 (last key \"a\"): Invalid integer \"1__0\": underscores must be \
         surrounded by digits",
    ),
    (
        b"a=0x_1",
        "line 1 (last key \"a\"): not a hexadecimal number: '0x_'",
    ),
    (
        b"a=1_",
        "line 1 (last key \"a\"): Invalid integer \"1_\": underscores must be surrounded \
         by digits",
    ),
    (
        b"a=01",
        "line 1 (last key \"a\"): Invalid integer \"01\": cannot have leading zeroes",
    ),
    (
        b"a=0_1",
        "line 1 (last key \"a\"): Invalid integer \"0_1\": cannot have leading zeroes",
    ),
    (
        b"a=-01",
        "line 1 (last key \"a\"): Invalid integer \"-01\": cannot have leading zeroes",
    ),
    (
        b"a=9223372036854775808",
        "line 1 (last key \"a\"): 9223372036854775808 is out of range for int64",
    ),
    (
        b"a=0x8000000000000000",
        "line 1 (last key \"a\"): 0x8000000000000000 is out of range for int64",
    ),
    (
        b"a=1_.5",
        "line 1 (last key \"a\"): Invalid float \"1_.5\": underscores must be surrounded \
         by digits",
    ),
    (
        b"a=1e+",
        "line 1 (last key \"a\"): Invalid float \"1e+\": underscores must be surrounded \
         by digits",
    ),
    (
        b"a=00.5",
        "line 1 (last key \"a\"): Invalid float \"00.5\": cannot have leading zeroes",
    ),
    (
        b"a=1.",
        "line 1 (last key \"a\"): Invalid float \"1.\": '.' must be followed by one or \
         more digits",
    ),
    (
        b"a=1.e5",
        "line 1 (last key \"a\"): Invalid float \"1.e5\": '.' must be followed by one or \
         more digits",
    ),
    (
        b"a=1.2.3",
        "line 1 (last key \"a\"): Invalid float value: \"1.2.3\"",
    ),
    (
        b"a=1e+-5",
        "line 1 (last key \"a\"): Invalid float value: \"1e+-5\"",
    ),
    (
        b"a=1e400",
        "line 1 (last key \"a\"): 1e400 is out of range for float64",
    ),
];

/// Dates and times.
const TIMES: &[Row] = &[
    (
        b"a=1979-02-29",
        "line 1 (last key \"a\"): invalid datetime: \"1979-02-29\"",
    ),
    (
        b"a=1979-05-27t07:32:60z",
        "line 1 (last key \"a\"): invalid datetime: \"1979-05-27T07:32:60Z\"",
    ),
    (
        b"a=7:32:00",
        "line 1 (last key \"a\"): invalid datetime: \"7:32:00\"",
    ),
    (
        b"a=1979-05-27  07:32:00",
        "line 1 (last key \"a\"): invalid datetime: \"1979-05-27TT07:32:00\"",
    ),
    (
        b"a=1979-05-27T07:32.5",
        "line 1 (last key \"a\"): invalid datetime: \"1979-05-27T07:32.5\"",
    ),
    (
        b"a=07:32:00Z",
        "line 1 (last key \"a\"): invalid datetime: \"07:32:00Z\"",
    ),
    (
        b"a=1979-05-27T07:32:00+25:00",
        "line 1 (last key \"a\"): invalid datetime: \"1979-05-27T07:32:00+25:00\"",
    ),
    (b"a=1-", "line 1 (last key \"a\"): invalid datetime: \"1-\""),
];

/// Strings.
const STRINGS: &[Row] = &[
    (
        b"a=\"x",
        "line 1 (last key \"a\"): unexpected EOF; expected '\"'",
    ),
    (
        b"a=\"x\n",
        "line 1 (last key \"a\"): strings cannot contain newlines",
    ),
    (
        b"a=\"x\r\n",
        "line 0 (last key \"a\"): strings cannot contain newlines",
    ),
    (
        b"a=\"\\",
        "line 0 (last key \"a\"): invalid escape in string '\\\u{0}'",
    ),
    (
        b"a=\"\\q\"",
        "line 1 (last key \"a\"): invalid escape in string '\\q'",
    ),
    (
        b"a=\"\\\n\"",
        "line 2 (last key \"a\"): invalid escape in string '\\\n'",
    ),
    (
        b"a=\"\\ \"",
        "line 1 (last key \"a\"): invalid escape: '\\ '",
    ),
    (
        b"a=\"foo\\xzz\"",
        "line 1 (last key \"a\"): expected two hexadecimal digits after '\\x', but got \
         \"foo\\\\xz\" instead",
    ),
    (
        b"a=\"\\x4",
        "line 1 (last key \"a\"): expected two hexadecimal digits after '\\x', but got \
         \"\\\\x4\" instead",
    ),
    (
        b"a=\"\\u12\"",
        "line 1 (last key \"a\"): expected four hexadecimal digits after '\\u', but got \
         \"\\\\u12\\\"\" instead",
    ),
    (
        b"a=\"\\U0011\"",
        "line 1 (last key \"a\"): expected eight hexadecimal digits after '\\U', but got \
         \"\\\\U0011\\\"\" instead",
    ),
    (
        b"a=\"\\ud800\"",
        "line 1 (last key \"a\"): Escaped character '\\ud800' is not valid UTF-8.",
    ),
    (
        b"a=\"\\UFFFFFFFF\"",
        "line 1 (last key \"a\"): Escaped character '\\uFFFFFFFF' is not valid UTF-8.",
    ),
    (
        b"a='x",
        "line 1 (last key \"a\"): unexpected EOF; expected \"'\"",
    ),
    (
        b"a='x\n",
        "line 1 (last key \"a\"): strings cannot contain newlines",
    ),
    (
        b"a=\"\"\"x",
        "line 1 (last key \"a\"): unexpected EOF; expected '\"\"\"'",
    ),
    (
        b"a=\"\"\"x\n",
        "line 1 (last key \"a\"): unexpected EOF; expected '\"\"\"'",
    ),
    (
        b"a=\"\"\"x\"\"\"\"\"\"",
        "line 1 (last key \"a\"): unexpected '\"\"\"\"\"\"'",
    ),
    (
        b"a=\"\"\"\n\\q\"\"\"",
        "line 2 (last key \"a\"): invalid escape in string '\\q'",
    ),
    (
        b"a=\"\"\"\\ y\"\"\"",
        "line 1 (last key \"a\"): invalid escape: '\\ '",
    ),
    (
        b"a='''x",
        "line 1 (last key \"a\"): unexpected EOF; expected \"'''\"",
    ),
    (
        b"a='''x''''''",
        "line 1 (last key \"a\"): unexpected \"''''''\"",
    ),
];

/// What no text may hold.
const BYTES: &[Row] = &[
    (
        b"a=\"\x01\"",
        "line 1 (last key \"a\"): TOML files cannot contain control characters: '0x01'",
    ),
    (
        b"a=1\rb=2",
        "line 1 (last key \"a\"): TOML files cannot contain control characters: '0x0d'",
    ),
    (
        b"# \x7f",
        "line 1: TOML files cannot contain control characters: '0x7f'",
    ),
    (
        b"a\x00=1",
        "line 1: files cannot contain NULL bytes; probably using UTF-16; TOML files must \
         be UTF-8",
    ),
    (
        b"123456\x00",
        "line 1: TOML files cannot contain control characters: '0x00'",
    ),
    (
        b"a='\xff'",
        "line 1 (last key \"a\"): invalid UTF-8 byte: 0xff",
    ),
    (b"a=1\n\n\xff=1", "line 3: invalid UTF-8 byte: 0xff"),
    (
        b"a=\"\xed\xa0\x80\"",
        "line 1 (last key \"a\"): invalid UTF-8 byte: 0xed",
    ),
    (
        b"a=tru\xff",
        "line 1 (last key \"a\"): invalid UTF-8 byte: 0xff",
    ),
    (
        b"a=1\na=2\xff",
        "line 2 (last key \"a\"): invalid UTF-8 byte: 0xff",
    ),
    (
        b"a=1\na='x'\xff",
        "line 2 (last key \"a\"): Key 'a' has already been defined.",
    ),
    (
        b"\xef\xbb\xbf\xef\xbb\xbfa=1",
        "line 1: expected '.' or '=', but got '\\ufeff' instead",
    ),
    (
        b"a=\xef\xbf\xbd",
        "line 1 (last key \"a\"): expected value but found '�' instead",
    ),
    (
        b"\xff\xfea\x00=\x001\x00",
        "line 1: files cannot contain NULL bytes; probably using UTF-16; TOML files must \
         be UTF-8",
    ),
];

/// Texts that are taken, and what `printf "%v"` prints of them.
const TAKEN: &[Row] = &[
    (b"", "map[]"),
    (b"# c", "map[]"),
    (b"a.b=1\na=2", "map[a:map[b:1]]"),
    (b"a.b=1\na=[2]", "map[a:[2]]"),
    (b"[a.b]\nc=1\n[a]\nd=2", "map[a:map[b:map[c:1] d:2]]"),
    (
        b"[[a]]\nb=1\n[[a]]\n[a.c]\nd=2",
        "map[a:[map[b:1] map[c:map[d:2]]]]",
    ),
    (
        b"[[t]]\nx=[1]\n[[t]]\nx={a=1}\nx.b=2",
        "map[t:[map[x:[1]] map[x:map[a:1 b:2]]]]",
    ),
    (b"[[x.y]]\na=1\n[x]\ny=[{b=2}]", "map[x:map[y:[map[b:2]]]]"),
    (b"[t]\n\"\"=[{a=1}]", "map[t:map[:[map[a:1]]]]"),
    (b"a=[1,'x',[{b=1}],1.5,]", "map[a:[1 x [map[b:1]] 1.5]]"),
    (b"a={\nb=1, # c\nc.d=[],\n}", "map[a:map[b:1 c:map[d:[]]]]"),
    (
        b"a=[{b={c=1}},{b={c=2}}]",
        "map[a:[map[b:map[c:1]] map[b:map[c:2]]]]",
    ),
    (b"'a b'.\"c\\u00e9\"=true", "map[a b:map[cé:true]]"),
    (
        b"a=0xF_F\nb=0o17\nc=0b1_1\nd=-0\ne=+1_000",
        "map[a:255 b:15 c:3 d:0 e:1000]",
    ),
    (
        b"a=1e1_0\nb=-0.0\nc=+inf\nd=-nan\ne=6.02e-23",
        "map[a:1e+10 b:-0 c:+Inf d:NaN e:6.02e-23]",
    ),
    (
        b"a=1979-05-27T00:32:00.999999-07:00",
        "map[a:1979-05-27 00:32:00.999999 -0700 -0700]",
    ),
    (
        b"a=1979-05-27 07:32z",
        "map[a:1979-05-27 07:32:00 +0000 UTC]",
    ),
    (
        b"a=1979-05-27T07:32:00.1234567899",
        "map[a:1979-05-27 07:32:00.123456789 +0000 datetime-local]",
    ),
    (
        b"a=1979-05-27",
        "map[a:1979-05-27 00:00:00 +0000 date-local]",
    ),
    (b"a=07:32", "map[a:0000-01-01 07:32:00 +0000 time-local]"),
    (
        b"a=0000-01-01",
        "map[a:0000-01-01 00:00:00 +0000 date-local]",
    ),
    (
        b"a=9999-12-31",
        "map[a:9999-12-31 00:00:00 +0000 date-local]",
    ),
    (
        b"a=[1979-05-27 , 07:32:00]",
        "map[a:[1979-05-27 00:00:00 +0000 date-local 0000-01-01 07:32:00 +0000 time-local]]",
    ),
    (
        b"a=1979-05-27T07:32:00+24:60",
        "map[a:1979-05-27 07:32:00 +2500 +2500]",
    ),
    (
        b"a=\"\\x41\\u00e9\\U0001F600\\e\\b\\t\\n\\f\\r\\\"\\\\\"",
        "map[a:Aé😀\u{1b}\u{8}\u{9}\n\u{c}\r\"\\]",
    ),
    (b"a=\"\"\"\r\nx\\\n  \n  y\\\\\n\"\"\"", "map[a:xy\\\n]"),
    (b"a=\"\"\"x\"\"\"\"\"", "map[a:x\"\"]"),
    (b"a=\"\"\"x\\\"\"\"\"\"\"", "map[a:x\"\"\"]"),
    (b"a=\"\"\"x\\\\\"\"\"\"\"\"", "map[a:x\\\"\"\"]"),
    (b"a='''\n\\n'''''", "map[a:\\n'']"),
    (b"a='\\n'", "map[a:\\n]"),
    (b"a=\"\"\"a\r\nb\"\"\"", "map[a:a\r\nb]"),
    (b"\xef\xbb\xbfa=1", "map[a:1]"),
    (b"\xfe\xffa=1", "map[a:1]"),
    (b"a=\"\xef\xbf\xbd\"", "map[a:�]"),
];
#[test]
fn texts_are_taken_as_helm_takes_them() {
    for (text, expected) in TAKEN {
        assert_eq!(&printed(text), expected, "{}", text.escape_ascii());
    }
}

#[test]
fn keys_and_tables_are_refused_in_helms_words() {
    check_mistakes(KEYS);
    check_mistakes(TABLES);
    check_mistakes(AGAIN);
}

#[test]
fn values_are_refused_in_helms_words() {
    check_mistakes(VALUES);
    check_mistakes(LISTS);
    check_mistakes(NUMBERS);
    check_mistakes(TIMES);
}

#[test]
fn characters_are_refused_in_helms_words() {
    check_mistakes(STRINGS);
    check_mistakes(BYTES);
}

#[test]
fn values_have_the_types_of_go() {
    let Value::Map(map) = from_toml(b"a=1\nb=1.5\nc=2000-01-01\nd=[]\n[[e]]\n[f]") else {
        panic!("a table");
    };
    let types: Vec<String> = map.entries().iter().map(|e| e.1.type_name()).collect();
    let expected = [
        "int64",
        "float64",
        "time.Time",
        "[]interface {}",
        "[]map[string]interface {}",
        "map[string]interface {}",
    ];
    assert_eq!(types, expected);
    assert!(matches!(map.get(b"e"), Some(Value::List(list)) if list.kind == ListKind::Maps));
}

#[test]
fn depth_is_bounded() {
    let nested = |count: usize| format!("a={}{}", "[".repeat(count), "]".repeat(count));
    let dotted = |count: usize| format!("a{} = 1", ".a".repeat(count - 1));
    for (text, taken) in [
        (nested(DEPTH_MAX), true),
        (nested(DEPTH_MAX + 1), false),
        (format!("a={}", "[".repeat(300_000)), false),
        (format!("a={}", "{a=".repeat(300_000)), false),
        (dotted(DEPTH_MAX), true),
        (dotted(DEPTH_MAX + 1), false),
        (dotted(300_000), false),
        (format!("[a{}]", ".a".repeat(300_000)), false),
    ] {
        let answer = printed(text.as_bytes());
        assert_eq!(!answer.starts_with("map[Error:"), taken, "{answer}");
    }
    let refused = printed(nested(DEPTH_MAX + 1).as_bytes());
    let expected = "toml: line 1 (last key \"a\"): values are nested deeper than 500 levels";
    assert_eq!(refused, format!("map[Error:{expected}]"));
}

/// Pieces that make TOML, and pieces that break it.
const PIECES: [&[u8]; 48] = [
    b"a",
    b"b",
    b"a.b",
    b"\"\"",
    b"\"c d\"",
    b"=",
    b".",
    b",",
    b"[",
    b"]",
    b"[[a]]\n",
    b"[a.b]\n",
    b"{",
    b"}",
    b"a = 1\n",
    b"b = [1, 2]\n",
    b"a.b = {c = 1}\n",
    b"'x'",
    b"\"\\u00e9\"",
    b"\"",
    b"'",
    b"\"\"\"",
    b"'''",
    b"\\",
    b"\\x4",
    b"\\\n",
    b"\n",
    b"\r\n",
    b"\r",
    b" ",
    b"\t",
    b"#",
    b"0",
    b"1",
    b"_",
    b"-",
    b"+",
    b"1.5",
    b"e",
    b"0x",
    b"inf",
    b"nan",
    b"true",
    b"1979-05-27",
    b"T07:32",
    b"\xff",
    b"\xc3\xa9",
    b"\x00",
];

proptest! {
    #[test]
    fn any_bytes_are_answered(text in prop::collection::vec(any::<u8>(), 0..4000)) {
        let _ = from_toml(&text);
    }

    #[test]
    fn any_pieces_are_answered(pieces in prop::collection::vec(0..PIECES.len(), 0..60)) {
        let pieces: Vec<&[u8]> = pieces.iter().map(|at| PIECES[*at]).collect();
        let text = pieces.concat();
        let answer = printed(&text);
        prop_assert_eq!(&printed(&text), &answer);
        if !answer.starts_with("map[Error:") {
            let longer = [&text, &b"\n# nothing\n"[..]].concat();
            prop_assert_eq!(printed(&longer), answer);
        }
    }

    #[test]
    fn changed_texts_are_answered(
        row in 0..TAKEN.len(),
        changes in prop::collection::vec((any::<usize>(), 0..PIECES.len(), 0..4usize), 0..4),
    ) {
        let mut text = TAKEN[row].0.to_vec();
        for (at, piece, removed) in changes {
            let start = at % (text.len() + 1);
            let end = (start + removed).min(text.len());
            text.splice(start..end, PIECES[piece].iter().copied());
        }
        prop_assert_eq!(printed(&text), printed(&text));
    }
}
