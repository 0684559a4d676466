//! What the log's thread is asked to do.

use storage::ids::TenantId;
use storage::otlp::PlainRequest;
use tokio::sync::oneshot;

use crate::budget::Share;
use crate::retries::AppendResult;

/// A request to be made durable.
#[derive(Debug)]
pub(crate) struct Append {
    pub(crate) tenant: TenantId,
    pub(crate) request_hash: u128,
    pub(crate) packed: Vec<u8>,
    pub(crate) request_len: u32,
    pub(crate) spans: PlainRequest,
    /// Given back once the request is in the head, which has a bound of its own.
    pub(crate) memory: Share,
    pub(crate) reply: oneshot::Sender<AppendResult>,
}

/// Which generations to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seal {
    /// The generations that are old or idle enough.
    Due,
    /// All generations.
    All,
}

/// One order to the log's thread.
pub(super) enum Command {
    /// Makes a request durable.
    Append(Box<Append>),
    /// Ends generations, and says when that is done.
    Seal(Seal, oneshot::Sender<()>),
    /// Ends all generations, then the thread.
    Stop,
}
