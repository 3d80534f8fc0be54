//! A connection that ends when its client does nothing useful with it.
//!
//! hyper limits the time for a request's head on HTTP/1.1 only, and nothing limits a client that negotiates HTTP/2 and then
//! asks for nothing, or one that does not take its answers. The rule here is the same for all of them: a connection on which
//! no request begins or ends for [`IDLE`] is over, unless one is being worked on.

#[cfg(test)]
mod tests;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::requests::Requests;

/// How long a connection may lie idle between two requests. Longer than the 60 s after which proxies commonly give up an
/// idle connection: the side that sends should be the one that closes.
pub(super) const IDLE: Duration = Duration::from_secs(75);

/// The bytes of a connection, until it is over: from then on its client counts as gone.
pub(super) struct Paced<Stream> {
    stream: Stream,
    requests: Arc<Requests>,
    sent_away: Pin<Box<WaitForCancellationFutureOwned>>,
    deadline: Option<Deadline>,
    over: bool,
}

/// When the connection is over.
struct Deadline {
    /// The time for a request's head; none on HTTP/2, whose clients say other things between requests.
    head: Option<Duration>,
    timer: Pin<Box<Sleep>>,
    /// How often a request had begun or ended when the timer was set.
    changes: u64,
    /// Whether part of a request's head has come.
    begun: bool,
}

impl<Stream> Paced<Stream> {
    /// A stream without time limits; it is over when its place is taken.
    pub(super) fn new(stream: Stream, requests: Arc<Requests>) -> Self {
        let sent_away = Box::pin(requests.sent_away());
        Self { stream, requests, sent_away, deadline: None, over: false }
    }

    /// With the rule of this module, and a time for each request's head.
    pub(super) fn with_deadline(mut self, head: Option<Duration>) -> Self {
        let timer = Box::pin(tokio::time::sleep(IDLE));
        self.deadline = Some(Deadline { head, timer, changes: self.requests.changes(), begun: false });
        self
    }

    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        if self.over {
            return true;
        }
        if self.sent_away.as_mut().poll(context).is_ready() {
            self.over = true;
        } else if let Some(reason) =
            self.deadline.as_mut().and_then(|deadline| deadline.poll(&self.requests, context))
        {
            self.requests.cut(reason);
            self.over = true;
        }
        self.over
    }

    /// Polls a write, unless the connection is over: whoever waits for a client to take its answer would wait for ever.
    fn while_it_lasts<T>(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut Stream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>>
    where
        Stream: Unpin,
    {
        let this = self.get_mut();
        if this.is_over(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        write(Pin::new(&mut this.stream), context)
    }
}

impl Deadline {
    /// Why the connection is over, if it is.
    fn poll(&mut self, requests: &Requests, context: &mut Context<'_>) -> Option<&'static str> {
        if self.changes != requests.changes() {
            self.changes = requests.changes();
            self.begun = false;
            self.set(IDLE);
        }
        loop {
            match self.timer.as_mut().poll(context) {
                Poll::Pending => return None,
                Poll::Ready(()) if requests.in_progress() => self.set(IDLE),
                Poll::Ready(()) => return Some(if self.begun { "slow" } else { "idle" }),
            }
        }
    }

    /// Bytes have come.
    fn heard(&mut self, requests: &Requests) {
        if let Some(head) = self.head.filter(|_| !self.begun && !requests.in_progress()) {
            self.begun = true;
            self.set(head);
        }
    }

    fn set(&mut self, time: Duration) {
        self.timer.set(tokio::time::sleep(time));
    }
}

impl<Stream: AsyncRead + Unpin> AsyncRead for Paced<Stream> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_over(context) {
            // The end of what the client says, rather than an error: what is idle is then closed in good manners.
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        if let Some(deadline) = this.deadline.as_mut().filter(|_| buffer.filled().len() > before) {
            deadline.heard(&this.requests);
        }
        Poll::Ready(Ok(()))
    }
}

impl<Stream: AsyncWrite + Unpin> AsyncWrite for Paced<Stream> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.while_it_lasts(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.while_it_lasts(context, |stream, context| stream.poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.while_it_lasts(context, AsyncWrite::poll_flush)
    }

    /// A connection that is over gets one try to say goodbye.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let over = this.is_over(context);
        match Pin::new(&mut this.stream).poll_shutdown(context) {
            Poll::Pending if over => Poll::Ready(Ok(())),
            other => other,
        }
    }
}
