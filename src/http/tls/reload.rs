//! Taking up files that were replaced, without a restart and without ever serving worse than before.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::pem::{Digest, Pair};
use super::{Tls, server_config};
use crate::config::{Problems, TlsConfig};

/// How often the files are looked at. By their content, not their times: it is two small reads, and it sees every way of
/// replacing them, such as another target of a link.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What has been seen of the files.
#[derive(Debug)]
struct Watch {
    /// What is being served.
    serving: Digest,
    /// What could not be served when last looked at, and whether it was told.
    broken: Option<(Digest, bool)>,
}

/// What a look at the files led to.
#[derive(Debug)]
enum Seen {
    Nothing,
    Replaced(Arc<ServerConfig>),
    Broken(Problems),
}

impl Tls {
    /// Looks at the files every few seconds, and at once on SIGHUP, for as long as it is polled. What can be served is, from
    /// the next connection on. What cannot is logged, and the old certificate goes on serving.
    pub(in crate::http) async fn watch(self) -> Infallible {
        let Self { files, serving, digest } = self;
        let mut watch = Watch { serving: digest, broken: None };
        let mut hangups = signal(SignalKind::hangup()).ok();
        loop {
            let asked = tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => false,
                () = next(&mut hangups) => true,
            };
            let read = files.clone();
            // A read that panicked has told nothing; the next look comes soon.
            if let Ok(pair) = tokio::task::spawn_blocking(move || Pair::read(&read)).await {
                act(watch.look(&pair, &files, asked), &files, &serving);
            }
        }
    }
}

/// A process that cannot hear signals still looks by itself.
async fn next(hangups: &mut Option<Signal>) {
    let heard = match hangups {
        Some(signal) => signal.recv().await,
        None => None,
    };
    if heard.is_none() {
        std::future::pending::<()>().await;
    }
}

fn act(seen: Seen, files: &TlsConfig, serving: &RustlsConfig) {
    match seen {
        Seen::Nothing => {}
        Seen::Replaced(config) => {
            serving.reload_from_config(config);
            let (certificate, key) = (files.certificate.display(), files.key.display());
            tracing::info!(%certificate, %key, "public.tls: the new certificate is served from now on");
        }
        Seen::Broken(problems) => {
            for problem in &problems {
                tracing::error!("{problem}; the old certificate is still served");
            }
        }
    }
}

impl Watch {
    /// Two files cannot be replaced at once, so that what is broken is told when it is seen twice, or when somebody asked
    /// for the look; and told once.
    fn look(&mut self, pair: &Pair, files: &TlsConfig, asked: bool) -> Seen {
        let digest = pair.digest();
        if digest == self.serving {
            self.broken = None;
            return Seen::Nothing;
        }
        match pair.certified(files) {
            Ok(certified) => {
                *self = Self { serving: digest, broken: None };
                Seen::Replaced(server_config(certified))
            }
            Err(problems) => {
                let before = self.broken.filter(|(seen, _)| *seen == digest);
                let tell = asked || matches!(before, Some((_, false)));
                let told = tell || matches!(before, Some((_, true)));
                self.broken = Some((digest, told));
                if tell { Seen::Broken(problems) } else { Seen::Nothing }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::tls::tests::{Files, issue};

    fn told(seen: &Seen) -> &'static str {
        match seen {
            Seen::Nothing => "nothing",
            Seen::Replaced(_) => "replaced",
            Seen::Broken(_) => "broken",
        }
    }

    #[test]
    fn what_is_broken_is_told_once_and_only_if_it_stays() {
        let files = Files::new(&issue("old.example"));
        let mut watch = Watch { serving: files.pair().digest(), broken: None };
        let mut look = |asked| told(&watch.look(&files.pair(), &files.config, asked));
        assert_eq!(look(false), "nothing", "the same");
        let new = issue("new.example");
        files.write_certificate(&new.certificate);
        assert_eq!(look(false), "nothing", "the key may be on its way");
        files.write_key(&new.key);
        assert_eq!(look(false), "replaced");
        files.write_certificate("nonsense");
        assert_eq!([look(false), look(false), look(false)], ["nothing", "broken", "nothing"]);
        assert_eq!(look(true), "broken", "somebody asked");
        files.write_certificate(&new.certificate);
        assert_eq!(look(false), "nothing", "the old one is back");
        std::fs::remove_file(&files.config.key).unwrap();
        assert_eq!([look(false), look(false)], ["nothing", "broken"]);
    }
}
