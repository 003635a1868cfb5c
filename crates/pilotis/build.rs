//! Links the executable at a fixed address (docs/decisions/0006-fixed-address.md).

fn main() {
    println!("cargo::rerun-if-env-changed=PILOTIS_PIE");
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("PILOTIS_PIE").is_none() {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
