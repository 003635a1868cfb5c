//! What charts may read of the machine: clock and randomness, both of which can be fixed.

use std::sync::Mutex;

use clap::Args;
use pilotis_chart::Error;
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
}

/// Clock and randomness of this machine, or fixed ones.
pub struct Machine {
    seeded: Option<Mutex<rand::rngs::StdRng>>,
    now: Option<jiff::Timestamp>,
    lints: bool,
}

impl Machine {
    /// A machine on which `required` and `fail` let rendering go on.
    pub fn linting() -> Self {
        Self {
            seeded: None,
            now: None,
            lints: true,
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
        })
    }
}

impl Environment for Machine {
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
