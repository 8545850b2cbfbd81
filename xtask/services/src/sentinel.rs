//! A master, its replica, and a sentinel that makes the replica the master when it must, or when it is told to.

use std::net::SocketAddr;

use crate::error::Error;
use crate::place::Place;
use crate::redis::{Mode, Redis, RedisOptions};
use crate::resp::Reply;
use crate::{port, skip, wait};

/// The name of the master among those that a sentinel may watch over.
const NAME: &str = "tiergate";

/// One master, one replica, one sentinel. They end when this is dropped.
pub struct RedisSentinel {
    sentinel: Redis,
    /// The first was the master at first.
    servers: [Redis; 2],
}

impl RedisSentinel {
    /// Starts the three, or says `SKIPPED` and returns `None` where there is no redis-server; with `CI` set it panics then.
    ///
    /// # Panics
    ///
    /// When the program is there and the three don't find each other.
    pub fn start(options: &RedisOptions) -> Option<Self> {
        skip::unless_present(Self::try_start(&Place::of_this_build(), options))
    }

    /// Starts the three at a place.
    ///
    /// # Errors
    ///
    /// When there is no program, or the three don't find each other.
    pub fn try_start(place: &Place, options: &RedisOptions) -> Result<Self, Error> {
        // One password for all, so that a client needs only one; and replicas that don't wait for others to join them.
        let password = options.password.clone().map_or_else(port::password, Ok)?;
        let options = options.clone().password(&password).setting("repl-diskless-sync-delay", "0");
        let master = Redis::try_start(place, &options)?;
        let port = master.plain_address().port();
        let replica = Redis::try_start(place, &options.setting("replicaof", format!("127.0.0.1 {port}")))?;
        let mut watch = RedisOptions::default();
        watch.mode = Mode::Sentinel;
        let watch = watch
            .password(&password)
            .setting("sentinel monitor", format!("{NAME} 127.0.0.1 {port} 1"))
            .setting("sentinel auth-pass", format!("{NAME} {password}"))
            .setting("sentinel down-after-milliseconds", format!("{NAME} 500"))
            .setting("sentinel failover-timeout", format!("{NAME} 3000"));
        wait_for("the replica follows its master", || {
            let said = replica.command(&["INFO", "replication"]).ok();
            said.as_ref().and_then(Reply::text).is_some_and(|said| said.contains("master_link_status:up"))
        })?;
        let all = Self { sentinel: Redis::try_start(place, &watch)?, servers: [master, replica] };
        // Otherwise it would look only every ten seconds what became of a server, and act another eight seconds later.
        all.sentinel.command(&["SENTINEL", "DEBUG", "INFO-PERIOD", "200", "PUBLISH-PERIOD", "200"])?;
        // Before it has asked the replica itself, it would not promote it.
        wait_for("the sentinel knows the replica", || {
            let Ok(Reply::List(replicas)) = all.sentinel.command(&["SENTINEL", "REPLICAS", NAME]) else { return false };
            matches!(&replicas[..], [Reply::List(of)] if field(of, "flags") == Some("slave")
                && field(of, "master-link-status") == Some("ok"))
        })?;
        Ok(all)
    }

    /// The name under which a client asks for the master.
    pub fn name(&self) -> &str {
        NAME
    }

    /// Where to ask for it. The sentinel wants the same password as the servers.
    pub fn sentinel(&self) -> &Redis {
        &self.sentinel
    }

    /// The password of all three.
    pub fn password(&self) -> &str {
        self.sentinel.password()
    }

    /// The two servers; the first was the master at first.
    pub fn servers(&self) -> &[Redis; 2] {
        &self.servers
    }

    /// Where the sentinel says that the master is.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub fn master_address(&self) -> Result<SocketAddr, Error> {
        let said = self.sentinel.command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME])?;
        let Reply::List(words) = &said else { return Err(Error::failed(format!("{said:?} is no address"))) };
        let words: Vec<_> = words.iter().filter_map(Reply::text).collect();
        words.join(":").parse().map_err(|_| Error::failed(format!("{said:?} is no address")))
    }

    /// Makes the other server the master, whose predecessor lives on as its replica, and waits until it is so.
    ///
    /// # Errors
    ///
    /// When that does not happen in time.
    pub fn switch(&self) -> Result<(), Error> {
        let before = self.master_address()?;
        self.sentinel.command(&["SENTINEL", "FAILOVER", NAME])?;
        self.await_another(before)?;
        wait_for("the old master follows the new one", || {
            self.servers
                .iter()
                .any(|server| server.plain_address() == before && role(server) == Some("slave".to_owned()))
        })
    }

    /// Kills the master and waits until the sentinel has made the other server the master.
    ///
    /// # Errors
    ///
    /// When that does not happen in time.
    pub fn kill_master(&self) -> Result<(), Error> {
        let before = self.master_address()?;
        self.servers.iter().filter(|server| server.plain_address() == before).for_each(Redis::kill);
        self.await_another(before)
    }

    fn await_another(&self, before: SocketAddr) -> Result<(), Error> {
        wait_for("another master takes over", || {
            self.master_address().is_ok_and(|now| {
                now != before
                    && self
                        .servers
                        .iter()
                        .any(|server| server.plain_address() == now && role(server) == Some("master".to_owned()))
            })
        })
    }
}

/// The value after a name.
fn field<'a>(pairs: &'a [Reply], name: &str) -> Option<&'a str> {
    pairs.chunks(2).find(|pair| pair[0].text() == Some(name))?.get(1)?.text()
}

fn role(server: &Redis) -> Option<String> {
    let Reply::List(said) = server.command(&["ROLE"]).ok()? else { return None };
    said.first()?.text().map(str::to_owned)
}

fn wait_for(what: &str, come: impl FnMut() -> bool) -> Result<(), Error> {
    if wait::until(wait::START, come) {
        return Ok(());
    }
    Err(Error::failed(format!("waited {:?} in vain until {what}", wait::START)))
}
