//! What charts may read of the machine: clock and randomness, both of which can be fixed.

use std::sync::Mutex;

use clap::Args;
use pilotis_chart::{Error, File, Objects, read_dir};
use pilotis_template::Environment;
use rand::{RngCore, SeedableRng};

/// Clock and randomness.
#[derive(Debug, Clone, Args)]
pub struct Flags {
    /// Make random functions repeatable
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// Fix the clock at this time, such as `2026-01-31T12:00:00Z`
    #[arg(long, value_name = "TIME")]
    pub now: Option<String>,
    /// File or folder of objects that `lookup` finds
    #[arg(long, value_name = "PATH")]
    pub lookup_from: Option<std::path::PathBuf>,
}

/// Clock and randomness of this machine, or fixed ones.
pub struct Machine {
    seeded: Option<Mutex<rand::rngs::StdRng>>,
    now: Option<jiff::Timestamp>,
    lints: bool,
    objects: Option<Objects>,
}

impl Machine {
    /// A machine on which `required` and `fail` let rendering go on.
    pub fn linting() -> Self {
        Self {
            seeded: None,
            now: None,
            lints: true,
            objects: None,
        }
    }

    /// What the flags ask for; a seed fixes the clock too, at the epoch unless told otherwise.
    ///
    /// # Errors
    /// A time that is none.
    pub fn new(flags: &Flags) -> Result<Self, Error> {
        let now = match &flags.now {
            Some(text) => Some(
                text.parse()
                    .map_err(|_| Error::new(format!("{text:?} is no time")))?,
            ),
            None => flags.seed.map(|_| jiff::Timestamp::UNIX_EPOCH),
        };
        let seeded = flags.seed.map(rand::rngs::StdRng::seed_from_u64);
        Ok(Self {
            seeded: seeded.map(Mutex::new),
            now,
            lints: false,
            objects: flags.lookup_from.as_deref().map(objects).transpose()?,
        })
    }
}

/// The objects of a file or of every file below a folder.
fn objects(path: &std::path::Path) -> Result<Objects, Error> {
    let shown = path.display();
    let about = |reason: String| Error::new(format!("cannot read objects of {shown}: {reason}"));
    let files = match path.is_dir() {
        true => read_dir(path).map_err(|error| about(error.message))?,
        false => {
            let data = std::fs::read(path).map_err(|error| about(super::flags::go_io(&error)))?;
            // Whatever its name, the one file that was named is read.
            vec![File::new("objects.yaml", data)]
        }
    };
    Objects::read(&files).map_err(|error| about(error.message))
}

impl Environment for Machine {
    fn lookup(&self, query: [&str; 4]) -> Result<serde_json::Value, String> {
        let found = self.objects.as_ref().map(|objects| objects.find(query));
        Ok(found.unwrap_or_else(|| serde_json::json!({})))
    }

    fn is_lint(&self) -> bool {
        self.lints
    }

    fn now(&self) -> (i64, u32) {
        let now = self.now.unwrap_or_else(jiff::Timestamp::now);
        (
            now.as_second(),
            u32::try_from(now.subsec_nanosecond()).unwrap_or(0),
        )
    }

    fn random(&self, buffer: &mut [u8]) {
        match &self.seeded {
            Some(seeded) => match seeded.lock() {
                Ok(mut seeded) => seeded.fill_bytes(buffer),
                Err(poisoned) => poisoned.into_inner().fill_bytes(buffer),
            },
            None => rand::rng().fill_bytes(buffer),
        }
    }
}
