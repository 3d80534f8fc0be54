//! What a connection goes through before its first request: a place, the TLS handshake if there is one, a pace.
//!
//! All of it runs in the connection's own task, so that a client that takes its time is waited for by nobody else.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum_server::accept::{Accept, NoDelayAcceptor};
use axum_server::tls_rustls::RustlsAcceptor;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::pace::{IDLE, Paced};
use super::requests::{Noted, Requests};
use super::slots::Slots;
use crate::http::tls::{HTTP_2, Tls};

/// TLS over TCP.
type TlsAcceptor = RustlsAcceptor<NoDelayAcceptor>;
/// What comes out of a handshake.
pub(super) type TlsStream = <TlsAcceptor as Accept<TcpStream, ()>>::Stream;

/// Takes connections in, with or without TLS.
#[derive(Clone)]
pub(super) struct Door<Inner, Protocol> {
    pub(super) inner: Inner,
    /// Whether a client chose HTTP/2.
    pub(super) is_http_2: Protocol,
    pub(super) slots: Arc<Slots>,
    /// The time for each request's head; with none there are no time limits here.
    pub(super) head: Option<Duration>,
    /// Handshakes are given up when this is cancelled: no request has begun in them.
    pub(super) shutdown: CancellationToken,
}

/// Without TLS.
pub(super) type PlainDoor = Door<NoDelayAcceptor, fn(&TcpStream) -> bool>;
/// With TLS.
pub(super) type TlsDoor = Door<TlsAcceptor, fn(&TlsStream) -> bool>;

impl PlainDoor {
    /// The same for clients that speak TLS.
    pub(super) fn encrypted(self, tls: &Tls) -> TlsDoor {
        let acceptor = RustlsAcceptor::new(tls.serving.clone());
        let inner = acceptor.handshake_timeout(self.head.unwrap_or(IDLE)).acceptor(self.inner);
        Door { inner, is_http_2: chose_http_2, slots: self.slots, head: self.head, shutdown: self.shutdown }
    }
}

fn chose_http_2(stream: &TlsStream) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(HTTP_2)
}

impl<Inner, Protocol, Router> Accept<TcpStream, Router> for Door<Inner, Protocol>
where
    Inner: Accept<TcpStream, Router>,
    Inner::Future: Send + 'static,
    Protocol: Fn(&Inner::Stream) -> bool + Clone + Send + 'static,
{
    type Stream = Paced<Inner::Stream>;
    type Service = Noted<Inner::Service>;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, stream: TcpStream, router: Router) -> Self::Future {
        let slot = self.slots.take();
        let (head, shutdown, is_http_2) = (self.head, self.shutdown.clone(), self.is_http_2.clone());
        let accepted = self.inner.accept(stream, router);
        Box::pin(async move {
            let (stream, router) = tokio::select! {
                accepted = accepted => accepted.inspect_err(|_| slot.cut("handshake"))?,
                () = slot.sent_away() => return Err(io::ErrorKind::ConnectionAborted.into()),
                () = shutdown.cancelled() => return Err(io::ErrorKind::ConnectionAborted.into()),
            };
            let requests = Arc::new(Requests::new(slot));
            let is_http_2 = is_http_2(&stream);
            let mut paced = Paced::new(stream, Arc::clone(&requests));
            if let Some(head) = head {
                paced = paced.with_deadline((!is_http_2).then_some(head));
            }
            Ok((paced, Noted::new(router, requests)))
        })
    }
}
