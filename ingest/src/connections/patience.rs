//! A stream that fails once its peer keeps it waiting for too long.
//!
//! HTTP itself bounds how long a client may take for the head of a request, and checks on silent
//! HTTP/2 connections. Left are a client that does not even say which of the two it speaks, and one
//! that does not take its answer.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// What an HTTP/2 client sends first, and no other one begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bounds the time until the peer's protocol is known, and the time in which it takes no byte.
#[derive(Debug)]
pub(super) struct Patience<S> {
    stream: S,
    timeout: Duration,
    /// While the peer may still speak either protocol.
    undecided: Option<Undecided>,
    /// While a write waits for the peer.
    stalled: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug)]
struct Undecided {
    /// What is left of the preface.
    rest: &'static [u8],
    end: Pin<Box<Sleep>>,
}

impl<S> Patience<S> {
    pub(super) fn new(stream: S, timeout: Duration) -> Self {
        Self {
            stream,
            timeout,
            undecided: Some(Undecided {
                rest: PREFACE,
                end: Box::pin(sleep(timeout)),
            }),
            stalled: None,
        }
    }

    /// Passes on what became of a write, unless the peer has been taking nothing for too long.
    fn written<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let timeout = self.timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(timeout)));
        stalled.as_mut().poll(cx).map(|()| Err(timed_out()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patience<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        let Some(undecided) = &mut this.undecided else {
            return read;
        };
        if read.is_pending() {
            return undecided.end.as_mut().poll(cx).map(|()| Err(timed_out()));
        }
        let new = buf.filled().get(before..).unwrap_or_default();
        match undecided.rest.strip_prefix(new) {
            Some(rest) if !rest.is_empty() => undecided.rest = rest,
            _ => this.undecided = None,
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patience<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.written(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.written(cx, shut)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

fn timed_out() -> io::Error {
    io::ErrorKind::TimedOut.into()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::timeout;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn pair() -> (DuplexStream, Patience<DuplexStream>) {
        let (near, far) = duplex(64);
        (near, Patience::new(far, LIMIT))
    }

    /// What a read comes to whose peer is silent.
    async fn read(stream: &mut Patience<DuplexStream>) -> Option<io::ErrorKind> {
        let read = timeout(10 * LIMIT, stream.read_u8()).await;
        read.ok().map(|read| read.unwrap_err().kind())
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_must_say_which_protocol_it_speaks() {
        for said in ["", "P", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r"] {
            let (mut near, mut far) = pair();
            near.write_all(said.as_bytes()).await.unwrap();
            far.read_exact(&mut vec![0; said.len()]).await.unwrap();
            assert_eq!(
                read(&mut far).await,
                Some(io::ErrorKind::TimedOut),
                "{said}"
            );
        }
        for said in [
            "G",
            "POST",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nx",
        ] {
            let (mut near, mut far) = pair();
            for byte in said.bytes() {
                near.write_u8(byte).await.unwrap();
                assert_eq!(far.read_u8().await.unwrap(), byte);
            }
            assert_eq!(read(&mut far).await, None, "{said}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_must_take_what_it_is_sent() {
        let (mut near, mut far) = pair();
        let error = far.write_all(&[0; 65]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        // As long as it takes something, it has time.
        near.read_exact(&mut [0; 64]).await.unwrap();
        let slow = tokio::spawn(async move {
            for _ in 0..200 {
                sleep(LIMIT / 2).await;
                near.read_exact(&mut [0; 1]).await.unwrap();
            }
        });
        far.write_all(&[0; 200]).await.unwrap();
        slow.await.unwrap();
    }
}
