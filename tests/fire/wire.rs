//! The wire between the instances and PostgreSQL, to be cut.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// What a client sends to commit: a simple query.
const COMMIT: &[u8] = b"COMMIT\0";
/// How long the server's side stays open after the client's was cut, so that what was sent is surely read.
const LINGER: Duration = Duration::from_millis(200);

pub struct Wire {
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    server: SocketAddr,
    /// Commits that are still to be cut off from their answer.
    commits: AtomicU32,
    cut: AtomicU32,
    all: Mutex<CancellationToken>,
    /// Whether bytes go through.
    flows: watch::Sender<bool>,
}

/// How a connection ended.
enum End {
    ByItself,
    /// The client is to hear no more; the server is to read what it was sent.
    AfterCommit,
}

impl Wire {
    /// Lays a wire to the server of this URL; answers the URL at its other end.
    pub async fn to(url: &str) -> (String, Self) {
        let options: PgConnectOptions = url.parse().unwrap();
        let server = format!("{}:{}", options.get_host(), options.get_port()).parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            server,
            commits: AtomicU32::new(0),
            cut: AtomicU32::new(0),
            all: Mutex::new(CancellationToken::new()),
            flows: watch::Sender::new(true),
        });
        let task = tokio::spawn(serve(listener, Arc::clone(&shared))).abort_handle();
        (options.port(port).to_url_lossy().to_string(), Self { shared, task })
    }

    /// Cuts every connection there is.
    pub fn cut_all(&self) {
        let mut all = self.shared.all.lock().unwrap();
        all.cancel();
        *all = CancellationToken::new();
    }

    /// Nothing goes through any more, and nobody is told: as when a host or a network dies.
    pub fn fall_silent(&self) {
        self.shared.flows.send_replace(false);
    }

    /// Everything goes through again, also what was held up.
    pub fn flow(&self) {
        self.shared.flows.send_replace(true);
    }

    /// Cuts this many connections, each when its next COMMIT has gone through and before it is answered.
    pub fn cut_commits(&self, count: u32) {
        self.shared.commits.store(count, Ordering::SeqCst);
    }

    /// How many were cut so.
    pub fn commits_cut(&self) -> u32 {
        self.shared.cut.load(Ordering::SeqCst)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let shared = Arc::clone(&shared);
        let cut = shared.all.lock().unwrap().clone();
        tokio::spawn(async move { cut.run_until_cancelled(carry(client, &shared)).await });
    }
}

async fn carry(client: TcpStream, shared: &Shared) -> io::Result<()> {
    let server = TcpStream::connect(shared.server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, mut to_client) = client.into_split();
    let (mut from_server, to_server) = server.into_split();
    let end = tokio::select! {
        end = asks(from_client, to_server, shared) => end?,
        answered = answers(&mut from_server, &mut to_client, shared) => answered.map(|()| End::ByItself)?,
    };
    drop(to_client);
    if matches!(end, End::AfterCommit) {
        let mut nobody = tokio::io::sink();
        let _ = tokio::time::timeout(LINGER, copy(&mut from_server, &mut nobody)).await;
    }
    Ok(())
}

async fn asks(mut client: OwnedReadHalf, mut server: OwnedWriteHalf, shared: &Shared) -> io::Result<End> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = client.read(&mut buffer).await?;
        if length == 0 {
            return Ok(End::ByItself);
        }
        shared.flowing().await;
        let asked = &buffer[..length];
        let commits = asked.windows(COMMIT.len()).any(|part| part == COMMIT);
        if commits && shared.take_commit() {
            shared.cut.fetch_add(1, Ordering::SeqCst);
            server.write_all(asked).await?;
            // Dropping it here would tell the server first.
            server.forget();
            return Ok(End::AfterCommit);
        }
        server.write_all(asked).await?;
    }
}

async fn answers(server: &mut OwnedReadHalf, client: &mut OwnedWriteHalf, shared: &Shared) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = server.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        shared.flowing().await;
        client.write_all(&buffer[..length]).await?;
    }
}

impl Shared {
    async fn flowing(&self) {
        // The sender is here.
        let _ = self.flows.subscribe().wait_for(|flows| *flows).await;
    }

    /// Whether this commit is one to be cut off.
    fn take_commit(&self) -> bool {
        let less = |left: u32| left.checked_sub(1);
        self.commits.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
    }
}
