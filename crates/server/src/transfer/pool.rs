//! A few connections that stay open, and patience with a server that is busy for a moment.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::Method;
use serde_json::Value;

use crate::client::{ClientError, Connection, Reply, Server};

/// How often a request is sent before it is given up.
const MAX_TRIES: u32 = 6;
/// How long to wait before the second try; twice as long before each further one.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// Connections to one server.
pub(super) struct Pool {
    server: Server,
    idle: Mutex<Vec<Connection>>,
}

impl Pool {
    pub(super) fn new(server: &Server) -> Self {
        Self { server: server.clone(), idle: Mutex::default() }
    }

    /// Sends a request that may be repeated. What is busy, restarting or out of reach for a moment is asked again.
    pub(super) async fn send(&self, method: &Method, path: &str, body: Option<&Value>) -> Result<Reply, ClientError> {
        let mut wait = FIRST_WAIT;
        for _ in 1..MAX_TRIES {
            match self.once(method, path, body).await {
                Ok(reply) if !matches!(reply.status, 429 | 502..=504) => return Ok(reply),
                Err(error @ ClientError::Url(_)) => return Err(error),
                Ok(_) | Err(_) => {}
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        self.once(method, path, body).await
    }

    /// Sends a request that must not be repeated.
    pub(super) async fn once(&self, method: &Method, path: &str, body: Option<&Value>) -> Result<Reply, ClientError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => Connection::new(&self.server)?,
        };
        let reply = connection.send(method, path, body).await;
        if reply.is_ok() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
        reply
    }
}
