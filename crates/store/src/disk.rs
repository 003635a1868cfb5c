//! The file: one redb table of objects, one of counters. No decisions, only bytes.
//!
//! Format 1. Table `objects`: `table/path` → `flags: u8, revision: u64 little endian, payload`,
//! flag bit 0 = payload is sealed. Table `counters`: `format`, `revision` (newest durable) and
//! `ceiling` (no revision above it was ever shown, so after a crash counting goes on from there
//! even if unsynced writes were lost).

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use crate::entry::{Entry, Key};

const OBJECTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("objects");
const COUNTERS: TableDefinition<'_, &str, u64> = TableDefinition::new("counters");

/// The layout this code writes.
const FORMAT: u64 = 1;
const SEALED: u8 = 1;
const PREFIX_SIZE: usize = 9;
/// How far ahead of use revisions are reserved.
const RESERVE: u64 = 4096;
/// Pages of the file kept in memory. Reads never come here, so only the paths writes take matter;
/// the engine's own limit is a gigabyte.
const CACHE_SIZE: usize = 16 << 20;
/// Unsynced commits before one is synced anyway: bounds what a crash can lose and file growth.
const RELAXED_COUNT_MAX: u32 = 64;

/// Encrypts the objects of chosen tables on their way to the disk.
pub trait Sealer: Send + Sync {
    /// The encrypted form, bound to `key` so that it cannot be moved; `None` to store in clear.
    fn seal(&self, key: &Key, plain: &[u8]) -> Option<Vec<u8>>;
    /// The reverse of `seal`; `None` when the key file is wrong or the bytes were altered.
    fn unseal(&self, key: &Key, sealed: &[u8]) -> Option<Vec<u8>>;
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be used.
    #[error("cannot open the object store {path}")]
    File {
        /// Which file.
        path: String,
        /// What the engine says.
        #[source]
        source: Box<redb::Error>,
    },
    /// Written by a newer program.
    #[error("object store has format {found}, this program knows up to {known}")]
    Format {
        /// What the file says.
        found: u64,
        /// What this program can read.
        known: u64,
    },
    /// A record does not decode.
    #[error("object store record {key} is damaged or sealed with another key")]
    Record {
        /// Which record.
        key: String,
    },
    /// The writer thread could not be started.
    #[error("cannot start the writer thread")]
    Thread(#[source] std::io::Error),
}

/// What was in the file.
pub(crate) struct Loaded {
    pub(crate) revision: u64,
    pub(crate) objects: Vec<(Key, u64, Bytes)>,
}

/// One change to be put into a transaction.
pub(crate) struct Row<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) deleted: bool,
}

pub(crate) struct Disk {
    database: Database,
    sealer: Option<Arc<dyn Sealer>>,
    ceiling: u64,
    relaxed_count: u32,
}

impl Disk {
    pub(crate) fn open(
        path: &Path,
        sealer: Option<Arc<dyn Sealer>>,
    ) -> Result<(Self, Loaded), OpenError> {
        let file = |source: redb::Error| OpenError::File {
            path: path.display().to_string(),
            source: Box::new(source),
        };
        let database = Database::builder()
            .set_cache_size(CACHE_SIZE)
            .create(path)
            .map_err(|e| file(e.into()))?;
        restrict(path).map_err(|e| file(redb::Error::Io(e)))?;
        let counters = prepare(&database).map_err(&file)?;
        if counters.format > FORMAT {
            return Err(OpenError::Format {
                found: counters.format,
                known: FORMAT,
            });
        }
        let revision = counters.revision.max(counters.ceiling).max(1);
        let mut disk = Self {
            database,
            sealer,
            ceiling: counters.ceiling,
            relaxed_count: 0,
        };
        let objects = disk.load(&file)?;
        disk.commit(&[], revision, true).map_err(&file)?;
        Ok((disk, Loaded { revision, objects }))
    }

    fn load(
        &self,
        file: &impl Fn(redb::Error) -> OpenError,
    ) -> Result<Vec<(Key, u64, Bytes)>, OpenError> {
        let read = self.database.begin_read().map_err(|e| file(e.into()))?;
        let table = read.open_table(OBJECTS).map_err(|e| file(e.into()))?;
        let mut objects = Vec::new();
        for row in table.iter().map_err(|e| file(e.into()))? {
            let (name, value) = row.map_err(|e| file(e.into()))?;
            let record = || OpenError::Record {
                key: name.value().to_owned(),
            };
            let key = parse_key(name.value()).ok_or_else(record)?;
            let (revision, bytes) = self.decode(&key, value.value()).ok_or_else(record)?;
            objects.push((key, revision, bytes));
        }
        Ok(objects)
    }

    fn decode(&self, key: &Key, value: &[u8]) -> Option<(u64, Bytes)> {
        let (prefix, payload) = value.split_at_checked(PREFIX_SIZE)?;
        let revision = u64::from_le_bytes(prefix[1..].try_into().ok()?);
        let bytes = match prefix[0] {
            0 => Bytes::copy_from_slice(payload),
            SEALED => self.sealer.as_ref()?.unseal(key, payload)?.into(),
            _ => return None,
        };
        Some((revision, bytes))
    }

    fn encode(&self, entry: &Entry) -> Vec<u8> {
        let sealed = self
            .sealer
            .as_ref()
            .and_then(|s| s.seal(&entry.key, &entry.bytes));
        let payload = sealed.as_deref().unwrap_or(&entry.bytes);
        let mut value = Vec::with_capacity(payload.len() + PREFIX_SIZE);
        value.push(if sealed.is_some() { SEALED } else { 0 });
        value.extend_from_slice(&entry.revision.to_le_bytes());
        value.extend_from_slice(payload);
        value
    }

    /// Writes rows in one transaction; `durable` waits for the disk.
    pub(crate) fn commit(
        &mut self,
        rows: &[Row<'_>],
        revision: u64,
        durable: bool,
    ) -> Result<(), redb::Error> {
        let reserve = revision > self.ceiling || self.ceiling == 0;
        let durable = durable || reserve || self.relaxed_count >= RELAXED_COUNT_MAX;
        let ceiling = if reserve {
            revision + RESERVE
        } else {
            self.ceiling
        };
        let mut write = self.database.begin_write()?;
        let durability = if durable {
            redb::Durability::Immediate
        } else {
            redb::Durability::None
        };
        write
            .set_durability(durability)
            .map_err(|e| redb::Error::Io(std::io::Error::other(e)))?;
        write.set_quick_repair(false);
        {
            let mut objects = write.open_table(OBJECTS)?;
            for row in rows {
                let key = &row.entry.key;
                let name = format!("{}/{}", key.table(), key.path());
                if row.deleted {
                    objects.remove(name.as_str())?;
                } else {
                    objects.insert(name.as_str(), self.encode(row.entry).as_slice())?;
                }
            }
            let mut counters = write.open_table(COUNTERS)?;
            counters.insert("revision", revision)?;
            if reserve {
                counters.insert("ceiling", ceiling)?;
            }
        }
        write.commit()?;
        self.ceiling = ceiling;
        self.relaxed_count = if durable { 0 } else { self.relaxed_count + 1 };
        Ok(())
    }

    /// A last synced commit that gives the unused reserve back, so a clean restart wastes nothing.
    pub(crate) fn finish(&mut self, revision: u64) -> Result<(), redb::Error> {
        let write = self.database.begin_write()?;
        {
            let mut counters = write.open_table(COUNTERS)?;
            counters.insert("revision", revision)?;
            counters.insert("ceiling", revision)?;
        }
        write.commit()?;
        self.ceiling = revision;
        Ok(())
    }
}

struct Counters {
    format: u64,
    revision: u64,
    ceiling: u64,
}

/// Creates the tables of a new file and reads the counters of an old one.
fn prepare(database: &Database) -> Result<Counters, redb::Error> {
    let write = database.begin_write()?;
    let counters = {
        write.open_table(OBJECTS)?;
        let mut table = write.open_table(COUNTERS)?;
        if table.get("format")?.is_none() {
            table.insert("format", FORMAT)?;
        }
        let read = |name: &str| -> Result<u64, redb::Error> {
            Ok(table.get(name)?.map_or(0, |v| v.value()))
        };
        Counters {
            format: read("format")?,
            revision: read("revision")?,
            ceiling: read("ceiling")?,
        }
    };
    write.commit()?;
    Ok(counters)
}

fn parse_key(name: &str) -> Option<Key> {
    let group_end = name.find('/')?;
    let resource_end = group_end + 1 + name[group_end + 1..].find('/')?;
    let path = &name[resource_end + 1..];
    path.contains('/')
        .then(|| Key::from_parts(name[..resource_end].into(), path.into()))
}

#[cfg(unix)]
fn restrict(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn restrict(_: &Path) -> std::io::Result<()> {
    Ok(())
}
