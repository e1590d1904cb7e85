//! Ctrl-C, and its relatives SIGTERM and SIGHUP, as something a program notices instead of dying in mid-write.
//!
//! The first signal only raises a flag: long loops call [`check`], prompts wake up by themselves, and everything that
//! is cleaned up on drop (echo of the terminal, temporary files, progress bars) is. A second signal ends the process
//! at once, for whoever cannot wait.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use rustix::event::{PollFd, PollFlags, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// The person, or the system, wants the program to stop. [`run`](crate::error::run) turns it into exit code 128 +
/// signal, which for Ctrl-C is 130.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", match .signal { 2 => "stopped by Ctrl-C", 1 => "stopped: the terminal was closed", _ => "stopped by a signal" })]
pub struct Interrupted {
    /// The signal's number.
    pub signal: u8,
}

/// Starts noticing signals. Does nothing the second time; [`run`](crate::error::run) calls it.
///
/// # Errors
/// When the system refuses a pipe or a signal handler.
pub fn install() -> io::Result<()> {
    let state = state()?;
    if !state.installed.swap(true, Ordering::SeqCst) {
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // Order matters: the second signal must find the flag that the first one raised.
            signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&state.raised))?;
            signal_hook::flag::register(signal, Arc::clone(&state.raised))?;
            signal_hook::flag::register_usize(signal, Arc::clone(&state.signal), signal.unsigned_abs() as usize)?;
            signal_hook::low_level::pipe::register(signal, state.waker.try_clone()?)?;
        }
    }
    Ok(())
}

/// Whether a signal has come.
pub fn interrupted() -> bool {
    check().is_err()
}

/// For long loops: `interrupt::check()?`.
///
/// # Errors
/// [`Interrupted`] once a signal has come.
pub fn check() -> Result<(), Interrupted> {
    match STATE.get().map_or(0, |state| state.signal.load(Ordering::SeqCst)) {
        0 => Ok(()),
        signal => Err(Interrupted {
            signal: u8::try_from(signal).unwrap_or(2),
        }),
    }
}

/// Reads until a signal comes: for what reads something long in one call.
#[derive(Debug)]
pub struct Interruptible<R>(pub R);

impl<R: io::Read> io::Read for Interruptible<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        check().map_err(io::Error::other)?;
        self.0.read(buffer)
    }
}

/// Waits until `input` has something to read (or ends), or a signal comes.
///
/// A plain `read` would not do: the signal handlers restart it, so Ctrl-C at a prompt would wait for Enter.
pub(crate) fn wait_readable(input: BorrowedFd<'_>) -> io::Result<()> {
    let Some(state) = STATE.get() else { return Ok(()) };
    loop {
        check().map_err(io::Error::other)?;
        let mut fds = [
            PollFd::new(&input, PollFlags::IN),
            PollFd::from_borrowed_fd(state.woken.as_fd(), PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        check().map_err(io::Error::other)?;
        if !fds[0].revents().is_empty() {
            return Ok(());
        }
    }
}

struct State {
    installed: AtomicBool,
    raised: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
    waker: io::PipeWriter,
    woken: io::PipeReader,
}

static STATE: OnceLock<State> = OnceLock::new();

fn state() -> io::Result<&'static State> {
    if let Some(state) = STATE.get() {
        return Ok(state);
    }
    let (woken, waker) = io::pipe()?;
    let fresh = State {
        installed: AtomicBool::new(false),
        raised: Arc::default(),
        signal: Arc::default(),
        waker,
        woken,
    };
    Ok(STATE.get_or_init(|| fresh))
}
