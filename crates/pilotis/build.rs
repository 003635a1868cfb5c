//! Links the executable statically, at a fixed address
//! (docs/decisions/0006-fixed-address.md, 0008-static-executable.md).

use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The C libraries the compiler names, and the archives that stand in for each.
const LIBRARIES: [(&str, &[&str]); 3] = [
    ("c", &["libc.a"]),
    ("m", &["libm.a"]),
    ("gcc_s", &["libgcc_eh.a", "libgcc.a", "libc.a"]),
];

fn main() {
    println!("cargo::rerun-if-env-changed=PILOTIS_PIE");
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("PILOTIS_PIE").is_some() {
        return;
    }
    println!("cargo::rustc-link-arg-bins=-no-pie");
    if is_for_this_libc() {
        match stand_ins() {
            Ok(folder) => {
                println!("cargo::rustc-link-arg-bins=-L{}", folder.display());
                println!("cargo::rustc-link-arg-bins=-static");
            }
            Err(error) => {
                println!("cargo::warning=the executable needs this machine's libc: {error}");
            }
        }
    }
}

/// Whether the target is this kind of machine with the GNU libc, the one `cc` here links with.
fn is_for_this_libc() -> bool {
    let of = |name: &str| std::env::var(name).unwrap_or_default();
    of("TARGET") == of("HOST") && of("CARGO_CFG_TARGET_ENV") == "gnu"
}

/// A folder that holds a linker script for each library, which names its archives. The compiler
/// asks for shared libraries (`-Bdynamic -lc`); a linker takes the first folder that has either.
fn stand_ins() -> Result<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default()).join("archives");
    std::fs::create_dir_all(&folder)?;
    for (name, archives) in LIBRARIES {
        let paths: Vec<String> = archives
            .iter()
            .map(|name| archive(name))
            .collect::<Result<_>>()?;
        let script = format!("GROUP({})\n", paths.join(" "));
        std::fs::write(folder.join(format!("lib{name}.a")), script)?;
    }
    Ok(folder)
}

/// Where `cc` has an archive; it repeats the name of one it does not have.
fn archive(name: &str) -> Result<String> {
    let answer = Command::new("cc")
        .arg(format!("-print-file-name={name}"))
        .output()?;
    let path = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
    match Path::new(&path).is_absolute() {
        true => Ok(path),
        false => Err(Error::other(format!("cc has no {name}"))),
    }
}
