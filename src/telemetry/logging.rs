//! What the service says of itself: logs on standard error.
//!
//! A log line carries ids as dotted fields (`event.id`, `route.name`), and never a payload, a phone number, a token or a
//! digest.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::SubscriberBuilder;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use crate::config::{LogConfig, LogFormat};

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter is not made of directives. A loaded configuration has none such.
    #[error("the log filter cannot be read")]
    Filter(#[from] ParseError),
    /// Logging was set up before in this process.
    #[error("logging is set up already")]
    Installed(#[from] TryInitError),
}

/// What is never logged: the client of NATS repeats what a server says, which may quote a subject with a phone number in it,
/// and with enough detail the password. What matters of it is logged by the handler.
const SILENT: &str = "async_nats=off";

/// Sends what the whole process logs to standard error: as text or JSON, as configured; by default JSON when standard
/// error is not a terminal.
pub fn init_logging(config: &LogConfig) -> Result<(), LoggingError> {
    let filter = EnvFilter::builder().parse(&config.filter)?.add_directive(SILENT.parse()?);
    let builder = SubscriberBuilder::default().with_env_filter(filter).with_writer(io::stderr);
    let terminal = io::stderr().is_terminal();
    if is_json(config.format, terminal) {
        builder.json().flatten_event(true).with_span_list(false).finish().try_init()?;
    } else if terminal {
        builder.finish().try_init()?;
    } else {
        builder.with_ansi(false).finish().try_init()?;
    }
    Ok(())
}

fn is_json(format: LogFormat, terminal: bool) -> bool {
    match format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_get_json_unless_text_is_asked_for() {
        let answers = [LogFormat::Auto, LogFormat::Text, LogFormat::Json]
            .map(|format| [true, false].map(|terminal| is_json(format, terminal)));
        assert_eq!(answers, [[false, true], [false, false], [true, true]]);
    }

    #[test]
    fn a_broken_filter_is_an_error() {
        let broken = LogConfig { filter: "a=b=c".to_owned(), ..LogConfig::default() };
        assert!(matches!(init_logging(&broken), Err(LoggingError::Filter(_))));
    }
}
