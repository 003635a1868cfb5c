//! What a program's own settings say against the framework: addresses, log files, trust.

use std::sync::LazyLock;

use regex::Regex;

use super::{Source, breach_at, position, set_aside};
use crate::collect::{Breach, Collector};
use crate::secrets::{is_configuration, is_program, is_test};
use crate::tree::{is_yaml, name};
use pilotis_policy::Text;

/// A private address given to a setting; a range of addresses is none.
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?m)^\s*(?:export\s+)?["']?([\w.-]+)["']?\s*[=:]\s*["']?(?:[a-z][a-z0-9+:.-]*://(?:[^@/\s]*@)?)?((?:10|192\.168|172\.(?:1[6-9]|2\d|3[01]))(?:\.\d{1,3}){2,3})(?::\d+)?(?:/[^\d\s]\S*)?["']?,?\s*$"#,
    )
    .expect("a constant, compiled by a test")
});
static LOG_FILE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"ch\.qos\.logback\.core\.(?:rolling\.Rolling)?FileAppender|<(?:RollingFile|RollingRandomAccessFile|File)\s|org\.apache\.log4j\.(?:Daily)?(?:Rolling)?FileAppender|(?m)^\s*logging\.file(?:\.name|\.path)?\s*=\s*\S|(?m)^appender\.\w+\.type\s*=\s*(?:Rolling)?File",
    )
    .expect("a constant, compiled by a test")
});
static TRUST: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?-u:\b)verify\s*=\s*False(?-u:\b)|_create_unverified_context|rejectUnauthorized\s*:\s*false|NODE_TLS_REJECT_UNAUTHORIZED['"\]]*\s*=\s*['"]?0|InsecureSkipVerify:\s*true|NoopHostnameVerifier|ALLOW_ALL_HOSTNAME_VERIFIER|TrustAllStrategy|CURLOPT_SSL_VERIFYPEER\s*(?:,|=>)\s*(?:false|0)|DangerousAcceptAnyServerCertificateValidator|VERIFY_NONE|danger_accept_invalid_certs\(true\)|(?-u:\b)curl\s+(?:-\S+\s+)*(?:-[a-zA-Z]*k[a-zA-Z]*|--insecure)\s|wget\s.*--no-check-certificate|GIT_SSL_NO_VERIFY=(?:1|true)"#,
    )
    .expect("a constant, compiled by a test")
});

pub(super) fn judge(collector: &mut Collector<'_>, source: Source<'_>) {
    if is_test(source.path) {
        return;
    }
    let composed = name(source.path).contains("compose");
    if is_configuration(source.path) && !composed {
        addresses(collector, source);
    }
    if names_a_logger(source.path) {
        logs(collector, source);
    }
    if is_program(source.path) {
        trust(collector, source);
    }
}

fn addresses(collector: &mut Collector<'_>, source: Source<'_>) {
    for found in ADDRESS.captures_iter(source.text) {
        let (Some(key), Some(address)) = (found.get(1), found.get(2)) else {
            continue;
        };
        let parts = address.as_str().split('.').count();
        let name = key.as_str().to_lowercase();
        let no_peer = name.contains("bind") || name.contains("version");
        if parts != 4 || no_peer || set_aside(source, address.start(), "source-address") {
            continue;
        }
        let fr =
            "une adresse IP privée est écrite dans la configuration livrée avec le code".to_owned();
        let en = "a private IP address is written in settings delivered with the code".to_owned();
        breach_at(
            collector,
            source,
            ("source-address", address.start()),
            (fr, en),
        );
    }
}

fn names_a_logger(path: &str) -> bool {
    let name = name(path);
    ["logback", "log4j", "application"]
        .iter()
        .any(|stem| name.starts_with(stem))
        && [".xml", ".properties", ".yml", ".yaml"]
            .iter()
            .any(|end| name.ends_with(end))
}

fn logs(collector: &mut Collector<'_>, source: Source<'_>) {
    let rule = "logging-to-file";
    let fr = "le journal est écrit dans un fichier".to_owned();
    let en = "the log is written to a file".to_owned();
    if let Some(found) = LOG_FILE.find(source.text) {
        let blank = found.as_str().len() - found.as_str().trim_start().len();
        return breach_at(collector, source, (rule, found.start() + blank), (fr, en));
    }
    if !is_yaml(source.path) {
        return;
    }
    let root = pilotis_yaml::parse_first(source.text).ok().flatten();
    let file = root
        .as_ref()
        .and_then(|root| root.get("logging")?.get_pair("file"));
    if let Some((key, _)) = file {
        let mut at = position(source, 0);
        (at.line, at.column) = (key.start.line, key.start.column);
        collector.breach(Breach {
            rule,
            message: Text { fr, en },
            object: None,
            position: Some(at),
            change: None,
        });
    }
}

fn trust(collector: &mut Collector<'_>, source: Source<'_>) {
    for found in TRUST.find_iter(source.text) {
        let line = source.text[..found.start()]
            .rsplit('\n')
            .next()
            .unwrap_or_default();
        let comment = ["#", "//", "*", "--"]
            .iter()
            .any(|mark| line.trim_start().starts_with(mark));
        if comment {
            continue;
        }
        let fr = "la vérification des certificats est coupée".to_owned();
        let en = "certificate verification is off".to_owned();
        breach_at(
            collector,
            source,
            ("source-tls-verification-off", found.start()),
            (fr, en),
        );
    }
}
