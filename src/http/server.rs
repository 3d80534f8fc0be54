//! A listener: bound first, so that its address is known and a taken port is an error at the start, then served until told
//! to stop.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum_server::accept::NoDelayAcceptor;
use axum_server::{Handle, Server};
use hyper_util::rt::TokioTimer;
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio_util::sync::CancellationToken;

/// How long a connection may take to send a request's headers, and may lie idle between two requests. Longer than the 60 s
/// after which proxies commonly give up an idle connection: the side that sends should be the one that closes.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(75);

/// A bound listener that nobody is answered on yet.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Takes the address; port 0 takes any free port.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        let tcp = TcpListener::bind(address).await?;
        let address = tcp.local_addr()?;
        Ok(Self { tcp, address })
    }

    /// The address that was taken.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `shutdown`; then refuses new connections, lets requests that have begun finish, and after
    /// `drain` cuts those that have not.
    pub async fn serve(self, router: Router, shutdown: CancellationToken, drain: Duration) -> io::Result<()> {
        let handle = Handle::new();
        let stop = async {
            shutdown.cancelled().await;
            handle.graceful_shutdown(Some(drain));
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            result = server(self.tcp, handle.clone()).serve(router.into_make_service()) => result,
            never = stop => match never {},
        }
    }
}

/// Plain HTTP/1.1: without TLS nobody negotiates HTTP/2, and waiting for its preface has no time limit. TLS is another
/// acceptor in place of this one (its handshakes run off the accept loop), with HTTP/2 allowed.
fn server(tcp: TcpListener, handle: Handle<SocketAddr>) -> Server<SocketAddr, NoDelayAcceptor> {
    let mut server = Server::from_listener(tcp).handle(handle).acceptor(NoDelayAcceptor::new()).http1_only();
    server.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(HEADERS_TIMEOUT);
    server
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::sync::Notify;
    use tokio::task::JoinHandle;

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

    struct Running {
        address: SocketAddr,
        shutdown: CancellationToken,
        begun: Arc<Notify>,
        finish: Arc<Notify>,
        task: JoinHandle<io::Result<()>>,
    }

    /// A server with one path, which says when it has begun and finishes when told.
    async fn running(drain: Duration) -> Running {
        let (begun, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let gates = (Arc::clone(&begun), Arc::clone(&finish));
        let slow = move || async move {
            gates.0.notify_one();
            gates.1.notified().await;
            "done"
        };
        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let (address, shutdown) = (listener.address(), CancellationToken::new());
        let router = Router::new().route("/", get(slow));
        let task = tokio::spawn(listener.serve(router, shutdown.clone(), drain));
        Running { address, shutdown, begun, finish, task }
    }

    async fn rest(mut stream: TcpStream) -> String {
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn a_request_that_has_begun_is_answered_before_the_end() {
        let server = running(Duration::from_mins(1)).await;
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(REQUEST).await.unwrap();
        server.begun.notified().await;
        server.shutdown.cancel();
        while TcpStream::connect(server.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        server.finish.notify_one();
        assert!(rest(stream).await.ends_with("done"));
        server.task.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_request_that_does_not_finish_is_cut() {
        let server = running(Duration::ZERO).await;
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(REQUEST).await.unwrap();
        server.begun.notified().await;
        server.shutdown.cancel();
        server.task.await.unwrap().unwrap();
        assert_eq!(rest(stream).await, "");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_sends_nothing_is_closed() {
        let server = running(Duration::ZERO).await;
        let stream = TcpStream::connect(server.address).await.unwrap();
        assert_eq!(rest(stream).await, "");
    }

    #[tokio::test]
    async fn a_taken_port_is_an_error() {
        let first = Listener::bind("127.0.0.1:0").await.unwrap();
        let refused = Listener::bind(first.address()).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
    }
}
