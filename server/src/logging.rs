//! Logging: to standard error, from an allow list of targets, dated to the day.
//!
//! No address, header or body may be logged at any level. So only this program's own targets are heard, none of which
//! is near a request; what hyper, axum, tokio or sled say goes nowhere. A panic's message can quote what it
//! stumbled over, so only its place is logged.

use std::{
    fmt,
    panic::{self, PanicHookInfo},
};

use tracing::{Level, Subscriber};
use tracing_subscriber::{
    filter::Targets,
    fmt::{MakeWriter, format::Writer, time::FormatTime},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::{clock::Clock, config::LogLevel};

struct DayOnly;

/// Starts logging. Once per process.
pub fn start(level: LogLevel) {
    let level = match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    };
    // A second start, in tests, keeps the first.
    drop(subscriber(level, std::io::stderr).try_init());
    panic::set_hook(Box::new(log_panic));
}

fn subscriber<W>(level: Level, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(false)
        .with_target(false)
        .with_timer(DayOnly);
    let ours = Targets::new().with_target("marram_server", level);
    tracing_subscriber::registry().with(ours).with(layer)
}

fn log_panic(info: &PanicHookInfo<'_>) {
    let place = info
        .location()
        .map_or_else(String::new, |place| format!("{}:{}", place.file(), place.line()));
    tracing::error!(
        place,
        "a part of the server panicked; its message is withheld, as it could quote a request"
    );
}

impl FormatTime for DayOnly {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{}", Clock::system().today())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_our_own_words_are_logged_and_a_panics_are_not() {
        let captured = Captured::default();
        let writer = captured.clone();
        tracing::subscriber::with_default(subscriber(Level::TRACE, move || writer.clone()), || {
            tracing::trace!("ours");
            tracing::error!(target: "hyper::proto", "PLANTED");
            tracing::error!(target: "marram", "PLANTED");
            let before = panic::take_hook();
            panic::set_hook(Box::new(log_panic));
            let panicked = panic::catch_unwind(|| panic!("PLANTED"));
            panic::set_hook(before);
            assert!(panicked.is_err());
        });
        let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
        let today = Clock::system().today().to_string();
        assert!(log.lines().all(|line| line.starts_with(&format!("{today} "))), "{log}");
        assert!(log.contains("ours") && log.contains("logging.rs:"), "{log}");
        assert!(!log.contains("PLANTED"), "{log}");
    }
}
