//! The name of a commit: forty hexadecimal digits, checked once.

use std::fmt;
use std::str::FromStr;

use gix::ObjectId;

/// A commit, by its full SHA-1.
///
/// ```
/// let id: pilotis_git::CommitId = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
/// assert_eq!(id.short(), "0123456789ab");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitId(pub(crate) ObjectId);

impl CommitId {
    /// The first twelve digits, as used in names of deliveries.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

/// The text is not forty hexadecimal digits.
#[derive(Debug, thiserror::Error)]
#[error("not a full commit id")]
pub struct InvalidId;

impl FromStr for CommitId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text.len() != 40 {
            return Err(InvalidId);
        }
        ObjectId::from_hex(text.as_bytes())
            .map(Self)
            .map_err(|_| InvalidId)
    }
}
