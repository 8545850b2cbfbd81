//! What the tier is compared with: the same bytes, asked for without us.

use bb8_redis::RedisConnectionManager;
use redis::aio::MultiplexedConnection;

/// As redis-rs documents it.
pub(crate) async fn connection(url: &str) -> MultiplexedConnection {
    let client = redis::Client::open(url).expect("a URL");
    client.get_multiplexed_async_connection().await.expect("the server is there")
}

/// As bb8-redis documents it: ten connections, each asked by a PING at every checkout.
pub(crate) async fn pool(url: &str) -> bb8::Pool<RedisConnectionManager> {
    let manager = RedisConnectionManager::new(url).expect("a URL");
    bb8::Pool::builder().build(manager).await.expect("the server is there")
}

pub(crate) async fn get(connection: &mut MultiplexedConnection, name: &str) -> usize {
    let value: Option<Vec<u8>> = redis::cmd("GET").arg(name).query_async(connection).await.expect("asked");
    value.expect("it is there").len()
}

pub(crate) async fn get_many(connection: &mut MultiplexedConnection, names: &[String]) -> usize {
    let values: Vec<Option<Vec<u8>>> = redis::cmd("MGET").arg(names).query_async(connection).await.expect("asked");
    values.iter().map(|value| value.as_ref().expect("it is there").len()).sum()
}
