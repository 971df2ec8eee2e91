//! What can go wrong in serving, and in asking.

use crate::api::Problem;
use crate::endpoint::Endpoint;
use diptych_rt::net::Address;
use std::io;

/// Why no server is there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: Address,
        /// What the system said.
        source: io::Error,
    },
    /// A thread, or what it waits with, could not be had.
    #[error("cannot start a server: {0}")]
    Start(#[source] io::Error),
}

/// Why a client got no answer, or none it wanted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody is there.
    #[error("no unit answers at {endpoint}: {source}")]
    Connect {
        /// Where it should be.
        endpoint: Endpoint,
        /// What the system said.
        source: io::Error,
    },
    /// The unit refused.
    #[error("{}", .problem.message)]
    Refused {
        /// The status of HTTP.
        status: u16,
        /// What it said.
        problem: Problem,
    },
    /// The connection broke, or what came is no HTTP.
    #[error("the connection to the unit broke: {0}")]
    Http(#[source] hyper::Error),
    /// What came is not what was asked for.
    #[error("the unit's answer makes no sense: {0}")]
    Answer(#[source] serde_json::Error),
    /// The answer ended before its end, or has no length.
    #[error("the unit ended the answer after {bytes} bytes")]
    Short {
        /// Bytes that came.
        bytes: u64,
    },
    /// What is sent or received cannot be read or written here.
    #[error("{0}")]
    Local(#[source] io::Error),
    /// The request cannot be put into words of HTTP.
    #[error("the request makes no sense: {0}")]
    Request(#[source] hyper::http::Error),
}
