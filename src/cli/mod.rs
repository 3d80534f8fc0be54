//! The commands: what a person types, and what it prints.
//!
//! `dev`, `serve`, `migrate`, `check`, `emulate`, `config`, `sign` and `verify` work on this machine; `webhooks`, `templates`
//! and `quality` ask Connectly ([`account`]). All others ask a
//! running server's admin API ([`admin`]) and print the answer ([`terminal`], [`table`], [`document`]). They know no store and no handler: whatever a command can do, the API can do.
//!
//! To add a command: a file with its `Args`, whose doc comments are its help text, and a `run` that writes to a
//! [`Terminal`]; a variant of [`Command`]; an arm of `dispatch`. Wrong usage or configuration is a [`Usage`] error.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::app::App;
use crate::clock::Clock;
use crate::config::{Config, Environment, Problems};

pub mod account;
pub mod admin;
pub mod backoff;
pub mod check;
pub mod config;
pub mod confirm;
pub mod connection;
pub mod conversations;
pub mod customers;
pub mod dev;
pub mod document;
pub mod draft;
pub mod emulate;
pub mod endpoint;
pub mod erase;
pub mod events;
pub mod export;
pub mod filter;
pub mod gist;
pub mod healthcheck;
pub mod http;
pub mod jobs;
pub mod list;
pub mod listen;
pub mod messages;
pub mod migrate;
pub mod missing;
pub mod moment;
pub mod pauses;
pub mod problem;
pub mod progress;
pub mod purge;
pub mod quality;
pub mod replay;
pub mod routes;
pub mod serve;
pub mod server;
pub mod sign;
pub mod signing;
pub mod simulate;
pub mod sse;
pub mod table;
pub mod tail;
pub mod templates;
pub mod terminal;
#[cfg(test)]
mod testing;
pub mod until;
pub mod verify;
pub mod watch;
pub mod webhooks;
pub mod why;

use admin::Admin;
use connection::Connection;
use problem::AdminError;
use server::{Configured, ServerOptions};
use terminal::Terminal;

/// One URL for Connectly's webhooks: verifies, stores and shows every event, and answers it while the window is open.
#[derive(Debug, clap::Parser)]
#[command(name = "switchboard", version, after_help = "Start with: switchboard dev")]
pub struct Cli {
    /// Where the running server is.
    #[command(flatten)]
    pub server: ServerOptions,
    /// The configuration file.
    #[arg(long, global = true, env = "SWITCHBOARD_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Everything that `switchboard` does.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Runs everything on one desk, without any configuration: server, emulator, an example route
    Dev(dev::Args),
    /// Runs the service
    Serve(serve::Args),
    /// Brings the database's schema up to date
    Migrate,
    /// Checks the configuration and everything it names, and lists all that is wrong
    #[command(after_help = check::EXAMPLES)]
    Check(check::Args),
    /// Runs the emulator alone: a Connectly on your desk
    Emulate(emulate::Args),
    /// Prints the commented reference, or the settings in effect
    Config(config::Args),
    /// Lists, shows, follows and exports stored events
    Events(events::Args),
    /// Sends messages, lists and shows how far they got, settles those that nobody knows about
    Messages(messages::Args),
    /// Tells what happened to a message, step by step, and if it failed why, and what to do
    #[command(after_help = why::EXAMPLES)]
    Why(why::Args),
    /// Lists conversations with their windows, and shows what was said in one
    Conversations(conversations::Args),
    /// Shows a customer; notes that one wants no messages, or wants them again
    Customers(customers::Args),
    /// Lists unfinished and parked work, tries it again or gives it up
    Jobs(jobs::Args),
    /// Holds back all sends, or one route, until it is resumed
    #[command(after_help = pauses::PAUSE_EXAMPLES)]
    Pause(pauses::Args),
    /// Lets go on what was paused
    #[command(after_help = pauses::RESUME_EXAMPLES)]
    Resume(pauses::Args),
    /// Delivers stored events to their handlers once more
    #[command(after_help = replay::EXAMPLES)]
    Replay(replay::Args),
    /// Takes away now what is older than `retention` says
    #[command(after_help = purge::EXAMPLES)]
    Purge(purge::Args),
    /// Erases everything of one customer, for good
    #[command(after_help = erase::EXAMPLES)]
    Erase(erase::Args),
    /// Shows which events go to which handler
    Routes(routes::Args),
    /// Lists, registers and deletes the addresses that Connectly posts to
    Webhooks(webhooks::Args),
    /// Lists the templates that Connectly has, with what became of their approval
    Templates(templates::Args),
    /// Shows what WhatsApp thinks of the business's numbers
    #[command(after_help = quality::help())]
    Quality(quality::Args),
    /// Sends signed events to a running server, as Connectly would
    Simulate(simulate::Args),
    /// Sends live events to a program on your desk, signed as Connectly signs
    #[command(after_help = listen::EXAMPLES)]
    Listen(listen::Args),
    /// Prints the signature that Connectly would send with a body
    #[command(after_help = sign::EXAMPLES)]
    Sign(sign::Args),
    /// Says whether a signature belongs to a body, and if not, why
    #[command(after_help = verify::EXAMPLES)]
    Verify(verify::Args),
    /// Asks a server whether it is ready; it needs no token
    #[command(after_help = healthcheck::EXAMPLES)]
    Healthcheck(healthcheck::Args),
}

/// What a command finds around it.
#[derive(Debug)]
pub struct Surroundings {
    /// The time.
    pub clock: Clock,
    /// The folder that commands are run in: `dev` leaves its connection there.
    pub folder: PathBuf,
    /// What the configuration file says of the server, when one was given.
    pub configured: Option<Configured>,
    /// The handlers of this program.
    pub app: App,
    /// The environment's variables.
    pub environment: Environment,
}

impl Surroundings {
    fn connection(&self) -> anyhow::Result<Option<Connection>> {
        Connection::read(&self.folder.join(connection::FOLDER))
    }

    fn admin(&self, options: &ServerOptions) -> anyhow::Result<Admin> {
        let endpoint = options.find(self)?;
        Admin::new(&endpoint.url, endpoint.secret)
    }
}

impl App {
    /// Runs the command line of this process, with this program's handlers: every command of `switchboard`.
    pub async fn main(self) -> ExitCode {
        let cli = <Cli as clap::Parser>::parse();
        let environment = Environment::from_process();
        let folder = PathBuf::from(".");
        match Surroundings::new(self, environment, folder, &cli) {
            Ok(surroundings) => run(cli, surroundings).await,
            Err(error) => fail(&error, &mut Terminal::new(&mut io::stdout(), &mut io::stderr(), false)),
        }
    }
}

impl Surroundings {
    fn new(app: App, environment: Environment, folder: PathBuf, cli: &Cli) -> anyhow::Result<Self> {
        // Commands that run something load the file themselves, with their own checks.
        let asks = !matches!(
            cli.command,
            Command::Dev(_)
                | Command::Serve(_)
                | Command::Migrate
                | Command::Check(_)
                | Command::Emulate(_)
                | Command::Config(_)
                | Command::Sign(_)
                | Command::Verify(_)
                | Command::Webhooks(_)
                | Command::Templates(_)
                | Command::Quality(_)
                | Command::Healthcheck(_)
        );
        let configured = match &cli.config {
            Some(file) if asks => {
                let loaded =
                    Config::load(Some(file), &environment).map_err(|problems| Usage::of(&problems))?;
                Configured::of(&loaded.config)
            }
            _ => None,
        };
        Ok(Self { clock: Clock::system(), folder, configured, app, environment })
    }
}

/// A mistake of the caller's, in the command line or the configuration: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

impl Usage {
    /// All problems of a configuration, one a line.
    fn of(problems: &Problems) -> Self {
        let lines: Vec<String> = problems.iter().map(|problem| format!("\n  {problem}")).collect();
        let many = if lines.len() == 1 { "a problem" } else { "problems" };
        let file = problems.file().map(|file| format!(" in {file}")).unwrap_or_default();
        Self(format!("the configuration{file} has {many}:{}", lines.concat()))
    }
}

/// Wrong usage or configuration.
const EXIT_USAGE: u8 = 2;
/// The command was understood, and it failed.
const EXIT_FAILED: u8 = 1;

/// Runs one command. The exit code is 0 when it is done, 1 when it failed, 2 for wrong usage or configuration; an error
/// begins with `error:` on stderr.
pub async fn run(cli: Cli, surroundings: Surroundings) -> ExitCode {
    let (mut out, mut err) = (io::stdout(), io::stderr());
    let (interactive, watched) = (out.is_terminal(), err.is_terminal());
    let mut terminal = Terminal::new(&mut out, &mut err, interactive).watched(watched);
    match dispatch(cli, &surroundings, &mut terminal).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, &mut terminal),
    }
}

async fn dispatch(cli: Cli, surroundings: &Surroundings, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    let admin = || surroundings.admin(&cli.server);
    let file = cli.config.as_deref();
    match cli.command {
        Command::Dev(args) => dev::run(&args, file, surroundings, terminal).await,
        Command::Serve(args) => serve::run(&args, file, surroundings).await,
        Command::Migrate => migrate::run(file, surroundings, terminal).await,
        Command::Check(args) => check::run(&args, file, surroundings, terminal).await,
        Command::Emulate(args) => emulate::run(args, file, surroundings, terminal).await,
        Command::Config(args) => config::run(&args, file, surroundings, terminal),
        Command::Events(args) => events::run(args, &admin()?, &surroundings.clock, terminal).await,
        Command::Messages(args) => messages::run(args, &admin()?, &surroundings.clock, terminal).await,
        Command::Jobs(args) => jobs::run(args, &admin()?, &surroundings.clock, terminal).await,
        Command::Why(args) => why::run(args, &admin()?, &surroundings.clock, terminal).await,
        Command::Conversations(args) => conversations::run(args, &admin()?, terminal).await,
        Command::Customers(args) => customers::run(args, &admin()?, terminal).await,
        Command::Replay(args) => replay::run(&args, &admin()?, &surroundings.clock, terminal).await,
        Command::Purge(args) => purge::run(&args, &admin()?, &surroundings.clock, terminal).await,
        Command::Erase(args) => erase::run(&args, &admin()?, terminal).await,
        Command::Pause(args) => pauses::pause(&args, &admin()?, terminal).await,
        Command::Resume(args) => pauses::resume(&args, &admin()?, terminal).await,
        Command::Routes(args) => routes::run(args, &admin()?, terminal).await,
        Command::Webhooks(args) => webhooks::run(args, file, surroundings, terminal).await,
        Command::Templates(args) => templates::run(args, file, surroundings, terminal).await,
        Command::Quality(args) => quality::run(&args, file, surroundings, terminal).await,
        Command::Simulate(args) => simulate::run(args, surroundings, terminal).await,
        Command::Listen(args) => listen::run(args, file, surroundings, &admin()?, terminal).await,
        Command::Sign(args) => sign::run(&args, file, surroundings, terminal),
        Command::Verify(args) => verify::run(&args, file, surroundings, terminal),
        Command::Healthcheck(args) => {
            healthcheck::run(&args, &cli.server, file, surroundings, terminal).await
        }
    }
}

/// Says what went wrong and chooses the exit code. A reader of our output that has had enough (`| head`) is no failure.
fn fail(error: &anyhow::Error, terminal: &mut Terminal<'_>) -> ExitCode {
    let closed = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    if error.downcast_ref().is_some_and(closed) {
        return ExitCode::SUCCESS;
    }
    // Problems of a configuration stand one a line. When stderr is closed as well, the exit code is all that can be said.
    for line in format!("error: {error:#}").lines() {
        let _ = terminal.hint(line);
    }
    let is_usage = error.is::<Usage>() || error.downcast_ref().is_some_and(AdminError::is_usage);
    ExitCode::from(if is_usage { EXIT_USAGE } else { EXIT_FAILED })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::problem::Problem;
    use crate::cli::testing::Captured;
    use clap::{CommandFactory as _, Parser as _};
    use reqwest::StatusCode;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn wrong_usage_is_2_and_failure_is_1() {
        let mut captured = Captured::default();
        let usage = anyhow::Error::new(Usage("no such thing".into())).context("while looking");
        assert_eq!(fail(&usage, &mut captured.terminal()), ExitCode::from(2));
        let failed = anyhow::anyhow!("it broke\nbadly");
        assert_eq!(fail(&failed, &mut captured.terminal()), ExitCode::from(1));
        assert_eq!(captured.err(), "error: while looking: no such thing\nerror: it broke\nbadly\n");
        let refused = |status| anyhow::Error::new(AdminError::Refused(Problem::read(status, b"")));
        for (status, code) in [
            (StatusCode::BAD_REQUEST, 2),
            (StatusCode::UNPROCESSABLE_ENTITY, 2),
            (StatusCode::NOT_FOUND, 1),
            (StatusCode::CONFLICT, 1),
            (StatusCode::SERVICE_UNAVAILABLE, 1),
        ] {
            let error = refused(status).context("while asking");
            assert_eq!(fail(&error, &mut captured.terminal()), ExitCode::from(code), "{status}");
        }
    }

    #[test]
    fn a_reader_that_leaves_early_is_no_failure() {
        let mut captured = Captured::default();
        let error = anyhow::Error::new(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(fail(&error, &mut captured.terminal()), ExitCode::SUCCESS);
        assert_eq!(captured.err(), "");
    }

    #[test]
    fn ids_and_times_are_checked_before_anything_is_asked() {
        let wrong: [&[&str]; 5] = [
            &["events", "show", "abc"],
            &["jobs", "retry", ".."],
            &["jobs", "retry"],
            &["messages", "show", ".."],
            &["events", "list", "--since", "soon"],
        ];
        for line in wrong {
            let error = Cli::try_parse_from([&["switchboard"], line].concat()).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line:?}");
        }
    }
}
