//! What a person types: lines, and secrets that are not shown.

use std::io::{BufRead, IsTerminal, Read, Write};
use std::os::fd::AsFd;

use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use pilotis_chart::Error;

use super::flags::go_io;

/// Most bytes read of a secret.
const SECRET_BYTES_MAX: u64 = 1 << 20;

/// A line that is shown while it is typed.
///
/// # Errors
/// Input that ended.
pub fn line(prompt: &str) -> Result<String, Error> {
    print!("{prompt}");
    let _ = std::io::stdout().flush();
    let mut text = String::new();
    let read = std::io::stdin().lock().read_line(&mut text);
    match read {
        Ok(0) => Err(Error::new("EOF")),
        Ok(_) => Ok(text.trim_end_matches(['\n', '\r']).to_owned()),
        Err(error) => Err(Error::new(go_io(&error))),
    }
}

/// A line that is not.
///
/// # Errors
/// Input that is no terminal.
pub fn secret(prompt: &str) -> Result<String, Error> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        print!("{prompt}");
        return Err(Error::new("inappropriate ioctl for device"));
    }
    let failed = |error: nix::Error| Error::new(go_io(&error.into()));
    let before = tcgetattr(input.as_fd()).map_err(failed)?;
    let mut silent = before.clone();
    silent.local_flags.remove(LocalFlags::ECHO);
    tcsetattr(input.as_fd(), SetArg::TCSAFLUSH, &silent).map_err(failed)?;
    let typed = line(prompt);
    let restored = tcsetattr(input.as_fd(), SetArg::TCSAFLUSH, &before).map_err(failed);
    println!();
    restored.and(typed)
}

/// All of the input, without the line's end.
///
/// # Errors
/// Input that cannot be read.
pub fn piped() -> Result<String, Error> {
    let mut text = String::new();
    let mut input = std::io::stdin().lock().take(SECRET_BYTES_MAX);
    input
        .read_to_string(&mut text)
        .map_err(|error| Error::new(go_io(&error)))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}
