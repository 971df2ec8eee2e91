//! What can go wrong in the real-time driver.

/// An error of the driver itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RtError {
    /// A worker thread could not be started.
    #[error("a worker thread could not be started")]
    Thread(#[source] std::io::Error),
    /// The driver has stopped, or a panic in it has stopped it.
    #[error("the driver has stopped")]
    Stopped,
    /// As many requests are under way as may be.
    #[error("{limit} requests are under way, the most there can be")]
    TooManyRequests {
        /// The limit.
        limit: usize,
    },
}
