//! Connections to a Redis server, and the commands that the scanner and the server send to it.

use std::{fmt, future::Future, time::Duration};

use futures::{Stream, StreamExt};
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, IntoConnectionInfo, aio::MultiplexedConnection};
use tagledger_model::error_chain::ErrorChain;

/// The address of Redis is invalid. The message leaves the address out, because it can contain a password.
#[derive(Debug, thiserror::Error)]
#[error("REDIS_URL or --redis-url is not the address of a Redis server; the format is redis://:PASSWORD@HOST:6379/0")]
pub struct InvalidRedisUrl(#[source] redis::RedisError);

/// Why a command has no result.
#[derive(Debug)]
pub enum CommandError {
    /// Redis answered with an error: it can be reached and refuses this command.
    Refused(redis::RedisError),
    /// The connection failed.
    Connection(redis::RedisError),
    /// Redis did not answer within this time.
    Timeout(Duration),
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) | Self::Connection(error) => ErrorChain(error).fmt(f),
            Self::Timeout(limit) => write!(f, "no answer within {limit:?}"),
        }
    }
}

impl From<redis::RedisError> for CommandError {
    fn from(error: redis::RedisError) -> Self {
        // Only an answer of the server has a code such as `ERR`, `OOM` or `READONLY`.
        if error.code().is_some() { Self::Refused(error) } else { Self::Connection(error) }
    }
}

/// Limits the time of a command, or of several.
///
/// # Errors
///
/// The error of `work`, or [`CommandError::Timeout`].
pub async fn with_timeout<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    tokio::time::timeout(limit, work).await.unwrap_or(Err(CommandError::Timeout(limit)))
}

/// The address of a Redis server. A connection is made by [`RedisClient::connect`] only.
#[derive(Debug, Clone)]
pub struct RedisClient(Client);

impl RedisClient {
    /// Parses an address such as `redis://:PASSWORD@HOST:6379/0`.
    ///
    /// # Errors
    ///
    /// When the address is invalid.
    pub fn new(url: &str) -> Result<Self, InvalidRedisUrl> {
        url.into_connection_info().and_then(Client::open).map(Self).map_err(InvalidRedisUrl)
    }

    /// Connects. Connecting, and each command on this connection, may take `limit`.
    ///
    /// # Errors
    ///
    /// When Redis cannot be reached in time.
    pub async fn connect(&self, limit: Duration) -> Result<RedisConnection, CommandError> {
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(limit)).set_response_timeout(Some(limit));
        let connected = async { Ok(self.0.get_multiplexed_async_connection_with_config(&config).await?) };
        with_timeout(limit, connected).await.map(RedisConnection)
    }

    /// Connects, sends one command, and returns its result, all within `limit`.
    ///
    /// # Errors
    ///
    /// When Redis cannot be reached in time or refuses the command.
    pub async fn send_once<T: FromRedisValue>(&self, command: &Command, limit: Duration) -> Result<T, CommandError> {
        with_timeout(limit, async { self.connect(limit).await?.send(command).await }).await
    }

    /// Connects and verifies that the server answers, all within `limit`.
    ///
    /// # Errors
    ///
    /// When Redis cannot be reached in time or refuses the command.
    pub async fn connect_and_ping(&self, limit: Duration) -> Result<RedisConnection, CommandError> {
        with_timeout(limit, async {
            let mut connection = self.connect(limit).await?;
            connection.send::<String>(&Command::new(&["PING"])).await?;
            Ok(connection)
        })
        .await
    }

    /// Subscribes to a channel. The stream has the content of each message, and ends with the connection.
    ///
    /// # Errors
    ///
    /// When Redis cannot be reached in time.
    pub async fn subscribe(
        &self,
        channel: &str,
        limit: Duration,
    ) -> Result<impl Stream<Item = Vec<u8>> + Unpin + use<>, CommandError> {
        let messages = with_timeout(limit, async {
            let mut subscription = self.0.get_async_pubsub().await?;
            subscription.subscribe(channel).await?;
            Ok(subscription.into_on_message())
        });
        Ok(messages.await?.map(|message| message.get_payload_bytes().to_vec()))
    }
}

/// A connection that several tasks can share by cloning it.
#[derive(Debug, Clone)]
pub struct RedisConnection(MultiplexedConnection);

impl RedisConnection {
    /// Sends a command and waits for its result.
    ///
    /// # Errors
    ///
    /// When the connection fails or Redis refuses the command.
    pub async fn send<T: FromRedisValue>(&mut self, command: &Command) -> Result<T, CommandError> {
        Ok(command.0.query_async(&mut self.0).await?)
    }
}

/// A command that can be sent to Redis.
#[derive(Debug, Clone)]
pub struct Command(Cmd);

impl Command {
    /// A command and its arguments, as one would type them.
    pub fn new(words: &[&str]) -> Self {
        Self(Cmd::new().arg(words).to_owned())
    }

    /// `GET`: the value of a key; its result is an `Option<Vec<u8>>`.
    pub fn get(key: &str) -> Self {
        Self(redis::cmd("GET").arg(key).to_owned())
    }

    /// `MGET`: the values of at least one key, in the order of the keys; its result is a `Vec<Option<Vec<u8>>>`.
    pub fn get_many(keys: &[String]) -> Self {
        Self(redis::cmd("MGET").arg(keys).to_owned())
    }

    /// `SET` with an expiry in seconds.
    pub fn set(key: &str, value: &[u8], expires_in_seconds: u64) -> Self {
        Self(redis::cmd("SET").arg(key).arg(value).arg("EX").arg(expires_in_seconds).to_owned())
    }

    /// `PUBLISH` of a number to a channel; its result is the number of subscribers, a `u64`.
    pub fn publish(channel: &str, message: i64) -> Self {
        Self(redis::cmd("PUBLISH").arg(channel).arg(message).to_owned())
    }

    /// `EVAL`: a Lua script, the keys that it uses (`KEYS`), and further arguments (`ARGV`).
    pub fn evaluate(script: &str, keys: &[&str], arguments: &[&[u8]]) -> Self {
        Self(redis::cmd("EVAL").arg(script).arg(keys.len()).arg(keys).arg(arguments).to_owned())
    }
}
