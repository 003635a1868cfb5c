//! What the kernel says of a process: memory and processor time.

use std::fs;
use std::process::Child;

use anyhow::{Context, Result, bail};

/// Clock ticks a second in `/proc`, a constant of the kernel's interface.
const TICKS: f64 = 100.0;
const MEGABYTE_KB: f64 = 1000.0 / 1.024;

/// A running process.
#[derive(Debug, Clone, Copy)]
pub struct Process(pub u32);

impl Process {
    /// Resident memory now, in MB.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn resident(self) -> Result<f64> {
        self.status("VmRSS:")
    }

    /// The most resident memory it ever had, in MB.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn peak(self) -> Result<f64> {
        self.status("VmHWM:")
    }

    /// The most resident memory of a child, in MB, asked again and again until it ends: the kernel
    /// forgets it with the process.
    ///
    /// # Errors
    /// When the child cannot be waited for, or fails.
    pub fn peak_until_end(self, child: &mut Child) -> Result<f64> {
        let mut most: f64 = 0.0;
        loop {
            if let Ok(now) = self.peak() {
                most = most.max(now);
            }
            match child.try_wait()? {
                Some(status) if status.success() => return Ok(most),
                Some(status) => bail!("process {} ended with {status}", self.0),
                None => std::thread::yield_now(),
            }
        }
    }

    /// Processor time of the process so far, in seconds; of its children when they have ended.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn cpu(self) -> Result<f64> {
        let text = self.read("stat")?;
        // The name may contain anything; the fields begin after its parenthesis.
        let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks = fields.get(11..15).context("/proc has too few fields")?;
        let ticks: f64 = ticks.iter().filter_map(|t| t.parse::<f64>().ok()).sum();
        Ok(ticks / TICKS)
    }

    fn status(self, word: &str) -> Result<f64> {
        let text = self.read("status")?;
        let line = text.lines().find_map(|line| line.strip_prefix(word));
        let number = line.and_then(|line| line.split_whitespace().next());
        let number = number.with_context(|| format!("/proc does not say {word}"))?;
        Ok(number.parse::<f64>()? / MEGABYTE_KB)
    }

    fn read(self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.0);
        fs::read_to_string(path).with_context(|| format!("process {} has ended", self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_memory_and_has_used_time() {
        let own = Process(std::process::id());
        let (resident, peak) = (own.resident().unwrap(), own.peak().unwrap());
        assert!(
            resident > 0.5 && peak >= resident * 0.9,
            "{resident} {peak}"
        );
        assert!(own.cpu().unwrap() >= 0.0);
    }
}
