//! Where the C library looks up names of machines and users.
//!
//! `/etc/nsswitch.conf` may name any service, and each but the built-in ones is a shared library of
//! the machine, made for the machine's own C library. A statically linked program would load both
//! into itself, of whatever version. So ours asks the two that are part of it.

/// Databases and the services that answer for each.
#[cfg(target_env = "gnu")]
const SERVICES: [(&std::ffi::CStr, &std::ffi::CStr); 2] =
    [(c"hosts", c"files dns"), (c"passwd", c"files")];

#[cfg(target_env = "gnu")]
unsafe extern "C" {
    /// Of `nss.h`: replaces what the configuration says for one database, in this process.
    fn __nss_configure_lookup(
        database: *const libc::c_char,
        services: *const libc::c_char,
    ) -> libc::c_int;
}

/// Names of machines come from `/etc/hosts` and DNS, users from `/etc/passwd`; call it before
/// anything asks for a name.
pub fn from_files_and_dns() {
    #[cfg(target_env = "gnu")]
    for (database, services) in SERVICES {
        // SAFETY: both are texts that end with zero and live as long as the program; the library
        // copies what it needs and refuses what it does not know.
        unsafe {
            __nss_configure_lookup(database.as_ptr(), services.as_ptr());
        }
    }
}
