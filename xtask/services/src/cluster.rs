//! A Redis Cluster of three masters: each node knows all slots before anybody gets the cluster.

use crate::error::Error;
use crate::place::Place;
use crate::redis::{Mode, Redis, RedisOptions};
use crate::resp::Reply;
use crate::{port, skip, wait};

/// The fewest masters that agree with each other when one of them is gone.
const NODES: u16 = 3;
const SLOTS: u16 = 16_384;

/// Three masters without replicas that share the slots evenly. They end when this is dropped.
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts a cluster, or says `SKIPPED` and returns `None` where there is no redis-server; with `CI` set it panics then.
    /// It takes some seconds until the nodes have told each other of themselves.
    ///
    /// # Panics
    ///
    /// When the program is there and no cluster comes about.
    pub fn start(options: &RedisOptions) -> Option<Self> {
        skip::unless_present(Self::try_start(&Place::of_this_build(), options))
    }

    /// Starts a cluster at a place.
    ///
    /// # Errors
    ///
    /// When there is no program, or when no cluster comes about.
    pub fn try_start(place: &Place, options: &RedisOptions) -> Result<Self, Error> {
        let mut options = options.clone().setting("cluster-node-timeout", "2000");
        options.mode = Mode::Cluster;
        // One password for all, so that a client needs only one.
        options.password = Some(options.password.map_or_else(port::password, Ok)?);
        let nodes = (0..NODES).map(|_| Redis::try_start(place, &options)).collect::<Result<Vec<_>, _>>()?;
        let cluster = Self { nodes };
        cluster.join()?;
        Ok(cluster)
    }

    fn join(&self) -> Result<(), Error> {
        for (number, node) in (0..NODES).zip(&self.nodes) {
            let (first, last) =
                (SLOTS / NODES * number, if number + 1 == NODES { SLOTS } else { SLOTS / NODES * (number + 1) } - 1);
            node.command(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()])?;
            // Nodes that claim the same epoch would have to settle that first.
            node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()])?;
        }
        for node in &self.nodes[1..] {
            let (port, bus) = (node.plain_address().port(), node.bus_port().unwrap_or_default());
            self.nodes[0].command(&["CLUSTER", "MEET", "127.0.0.1", &port.to_string(), &bus.to_string()])?;
        }
        let knows_all = |node: &Redis| {
            let wanted = ["cluster_state:ok", "cluster_slots_ok:16384", "cluster_known_nodes:3", "cluster_size:3"];
            let said = node.command(&["CLUSTER", "INFO"]).ok();
            said.as_ref()
                .and_then(Reply::text)
                .is_some_and(|said| wanted.iter().all(|line| said.lines().any(|l| l == *line)))
        };
        if wait::until(wait::START, || self.nodes.iter().all(knows_all)) {
            return Ok(());
        }
        let said: Vec<_> = self.nodes.iter().map(|node| node.command(&["CLUSTER", "INFO"])).collect();
        Err(Error::failed(format!("the nodes of a cluster did not find each other within {:?}: {said:?}", wait::START)))
    }

    /// The nodes.
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// The password of all nodes.
    pub fn password(&self) -> &str {
        self.nodes[0].password()
    }

    /// `host:port` of all nodes with commas between them, as lists of nodes are written in URLs.
    pub fn addresses(&self) -> String {
        self.nodes.iter().map(|node| node.address().to_string()).collect::<Vec<_>>().join(",")
    }

    /// The slot of a key.
    ///
    /// # Errors
    ///
    /// When the first node does not answer.
    pub fn slot(&self, key: &str) -> Result<u16, Error> {
        match self.nodes[0].command(&["CLUSTER", "KEYSLOT", key])? {
            Reply::Integer(slot) => u16::try_from(slot).map_err(|_| Error::failed(format!("{slot} is no slot"))),
            odd => Err(Error::failed(format!("{odd:?} is no slot"))),
        }
    }

    /// Gives a slot, which must hold no keys, to a node. Clients that ask elsewhere are told `MOVED`.
    ///
    /// # Errors
    ///
    /// When a node refuses or does not answer.
    ///
    /// # Panics
    ///
    /// When there is no such node.
    pub fn move_slot(&self, slot: u16, to: usize) -> Result<(), Error> {
        let id = self.nodes[to].command(&["CLUSTER", "MYID"])?;
        let id = id.text().unwrap_or_default();
        // The new owner first: the others believe whoever says last that the slot is its own.
        let others = self.nodes.iter().enumerate().filter(|(number, _)| *number != to).map(|(_, node)| node);
        for node in std::iter::once(&self.nodes[to]).chain(others) {
            node.command(&["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", id])?;
        }
        Ok(())
    }
}
