//! Functions Helm has and this engine does not yet: calling one is an error that names it.
//!
//! TODO(correctness): move each to its own table; the chart engine issue asks for all of them.

use super::{Args, Function, Outcome, Type, variadic};
use crate::error::Error;
use crate::exec::Machine;

macro_rules! unsupported {
    ($($name:literal),* $(,)?) => {
        &[$(variadic($name, &[], Type::Any, |m, a| refuse(m, a, $name))),*]
    };
}

pub(super) const TABLE: &[Function] = unsupported![
    "bcrypt",
    "buildCustomCert",
    "decryptAES",
    "derivePassword",
    "encryptAES",
    "fromToml",
    "genCA",
    "genCAWithKey",
    "genPrivateKey",
    "genSelfSignedCert",
    "genSelfSignedCertWithKey",
    "genSignedCert",
    "genSignedCertWithKey",
    "htpasswd",
];

fn refuse(_: &mut Machine<'_>, _: &Args, name: &str) -> Outcome {
    Err(Error::plain(format!(
        "function {name} is not supported yet"
    )))
}
