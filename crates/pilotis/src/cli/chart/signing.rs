//! `chart package --sign`: the signed statement beside an archive.

use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};

use clap::Args;
use pilotis_chart::{Chart, Error};
use pilotis_chart_repository::read;
use pilotis_provenance::{Error as Provenance, Keyring, Passphrase, Statement};

use super::flags::{Common, go_io};
use super::pflag::Switch;
use super::{network, terminal};

/// Most bytes read of a passphrase.
const PASSPHRASE_BYTES_MAX: u64 = 64 << 10;

/// How an archive is signed.
#[derive(Debug, Clone, Args)]
pub struct Flags {
    /// Sign the archive with an OpenPGP key
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true)]
    pub sign: Switch,
    /// Name of the key
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    pub key: String,
    /// File of secret keys
    #[arg(long, value_name = "FILE")]
    pub keyring: Option<PathBuf>,
    /// File with the key's passphrase, or `-`
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// A key to sign with; its passphrase is read once.
pub struct Signing {
    ring: Keyring,
    key: String,
    passphrase_file: Option<PathBuf>,
    passphrase: Option<Vec<u8>>,
}

/// What goes wrong while a key is opened.
enum Failure {
    Key(Provenance),
    Passphrase(Error),
}

impl From<Provenance> for Failure {
    fn from(error: Provenance) -> Self {
        Self::Key(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Key(error) => Self::new(error.to_string()),
            Failure::Passphrase(error) => error,
        }
    }
}

impl Signing {
    /// The key the flags ask for; nothing when they ask for none.
    ///
    /// # Errors
    /// No key named, a file of keys that cannot be read.
    pub fn new(flags: &Flags, common: &Common) -> Result<Option<Self>, Error> {
        if !flags.sign.0 {
            return Ok(None);
        }
        if flags.key.is_empty() {
            return Err(Error::new("--key is required for signing a package"));
        }
        let default = network::places(common).keyring;
        let path = flags.keyring.as_ref().unwrap_or(&default);
        if path.as_os_str().is_empty() {
            return Err(Error::new("--keyring is required for signing a package"));
        }
        let ring = Keyring::read(&read(path)?).map_err(|error| Error::new(error.to_string()))?;
        Ok(Some(Self {
            ring,
            key: flags.key.clone(),
            passphrase_file: flags.passphrase_file.clone(),
            passphrase: None,
        }))
    }

    /// Writes the signed statement beside an archive.
    ///
    /// # Errors
    /// A key that cannot be opened or cannot sign, a file that cannot be written.
    pub fn sign(&mut self, path: &Path, archive: &[u8]) -> Result<(), Error> {
        let Self {
            ring,
            key,
            passphrase_file,
            passphrase,
        } = self;
        let ask = |name: &str| {
            let bytes = match (&passphrase, passphrase_file) {
                (Some(known), _) => known.clone(),
                (None, Some(file)) => from_file(file).map_err(Failure::Passphrase)?,
                (None, None) => {
                    let prompt = format!("Password for key {name:?} >  ");
                    let typed = terminal::secret(&prompt).inspect_err(|_| println!());
                    let typed = typed.map_err(Failure::Passphrase)?;
                    return Ok(Passphrase::new(typed.into_bytes()));
                }
            };
            *passphrase = Some(bytes.clone());
            Ok(Passphrase::new(bytes))
        };
        let signer = ring.signer::<Failure>(key, ask)?;
        let chart = Chart::load_archive(archive).map_err(|error| {
            let reason = error.message;
            Error::new(format!("failed to load chart for signing: {reason}"))
        })?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let statement = Statement {
            name: &name,
            archive,
        };
        let text = statement
            .sign(&chart.metadata.to_yaml(), &signer)
            .map_err(|error| Error::new(error.to_string()))?;
        let beside = super::verify::beside(path);
        std::fs::write(&beside, text).map_err(|error| {
            let reason = go_io(&error);
            Error::new(format!("open {}: {reason}", beside.display()))
        })
    }
}

/// The first line of a file, or of what is piped in.
fn from_file(path: &Path) -> Result<Vec<u8>, Error> {
    use std::io::Read;
    let input: Box<dyn Read> = if path == Path::new("-") {
        let input = std::io::stdin();
        if input.is_terminal() {
            return Err(Error::new(
                "specified reading passphrase from stdin, without input on stdin",
            ));
        }
        Box::new(input)
    } else {
        let opened = std::fs::File::open(path);
        Box::new(opened.map_err(|error| {
            let reason = go_io(&error);
            Error::new(format!("open {}: {reason}", path.display()))
        })?)
    };
    let mut line = Vec::new();
    let mut input = std::io::BufReader::new(input.take(PASSPHRASE_BYTES_MAX));
    let read = input.read_until(b'\n', &mut line);
    read.map_err(|error| Error::new(go_io(&error)))?;
    while line.last().is_some_and(|last| b"\r\n".contains(last)) {
        line.pop();
    }
    Ok(line)
}
