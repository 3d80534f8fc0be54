//! Bytes on a connection, for what no well-behaved client sends.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long to wait for what is certain to come, on a machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What the server says until it hangs up.
pub async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    // A reset is an end too: the server hung up on bytes that it had not read.
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    read.expect("the server hangs up").ok();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What the server says to these bytes until it hangs up.
pub async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    rest(&mut stream).await
}

/// Writes one byte after the other, for as long as the server takes them.
pub async fn drip(stream: &mut (impl AsyncWrite + Unpin), every: Duration) {
    while stream.write_all(b"x").await.is_ok() {
        tokio::time::sleep(every).await;
    }
}
