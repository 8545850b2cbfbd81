//! The origin: transactions whose numbers are given at their begin, commits in any order, and snapshots of both.
//!
//! What a snapshot holds is always a beginning of the order of commits. Its numbers are not: a transaction with a low number may be missing
//! from a snapshot that holds a higher one. Most holes of the protocol live in that difference.

use cache_core::{Revision, Stamp};

/// The number of a transaction; 0 is none.
pub(crate) type Xid = u8;

/// The most transactions that a run may begin.
pub(crate) const MAX_XIDS: usize = 5;

/// What a decision rests on: `GRANT and not BAN`.
pub(crate) const GRANT: u8 = 1;
/// What takes it away although the grant stays.
pub(crate) const BAN: u8 = 2;
/// A predicate that no decision here asks for: its changes kill nothing of interest.
pub(crate) const ELSEWHERE: u8 = 4;
/// Predicates, and so tags.
pub(crate) const TAGS: usize = 3;

/// Which facts hold; the bits are those of the tags.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(crate) struct Facts(pub(crate) u8);

impl Facts {
    pub(crate) fn has(self, fact: u8) -> bool {
        self.0 & fact != 0
    }

    pub(crate) fn allow(self) -> bool {
        self.has(GRANT) && !self.has(BAN)
    }

    /// The same, but `fact` from elsewhere.
    pub(crate) fn with(self, fact: u8, holds: bool) -> Self {
        Self(if holds { self.0 | fact } else { self.0 & !fact })
    }
}

/// What one transaction does, if it commits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Writer {
    pub(crate) name: &'static str,
    pub(crate) sets: u8,
    pub(crate) clears: u8,
    /// The tags that its rows of the log kill.
    pub(crate) kills: u8,
}

impl Writer {
    pub(crate) fn change(&self, facts: Facts) -> Facts {
        Facts((facts.0 | self.sets) & !self.clears)
    }
}

/// What began a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Author {
    /// One of the run's writers, by its place.
    Writer(u8),
    /// A refresh of the view: it holds a number from its begin to its end, and kills nothing.
    Refresh,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) enum Transaction {
    #[default]
    Unborn,
    Open(Author),
    Committed(Author),
    /// Rolled back, or lost in a failover.
    Over,
}

/// The state after a commit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Commit {
    pub(crate) xid: Xid,
    pub(crate) facts: Facts,
}

/// Which transactions a statement sees.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) xmin: Xid,
    pub(crate) xmax: Xid,
    /// Those below `xmax` that were running, as bits.
    running: u8,
}

impl Snapshot {
    /// True of every transaction that was over, those rolled back included.
    pub(crate) fn sees(&self, xid: Xid) -> bool {
        xid < self.xmax && self.running & (1 << xid) == 0
    }

    /// Whether everything that the other one sees is seen here.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        (1..other.xmax).all(|xid| !other.sees(xid) || self.sees(xid))
    }

    pub(crate) fn stamp(&self) -> Stamp {
        Stamp::new(self.xmin.into())
    }
}

pub(crate) fn revision(xid: Xid) -> Revision {
    Revision::new(xid.into())
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Origin {
    /// Which history this is: a failover starts another one, which reuses numbers.
    pub(crate) epoch: u8,
    transactions: [Transaction; MAX_XIDS],
    /// In the order in which they became visible.
    commits: [Commit; MAX_XIDS],
    initial: Facts,
}

impl Origin {
    pub(crate) fn new(initial: Facts) -> Self {
        Self { epoch: 0, transactions: Default::default(), commits: Default::default(), initial }
    }

    /// How many numbers were given.
    pub(crate) fn begun(&self) -> usize {
        self.transactions.iter().take_while(|transaction| **transaction != Transaction::Unborn).count()
    }

    pub(crate) fn transactions(&self) -> impl Iterator<Item = (Xid, Transaction)> + '_ {
        (1..).zip(self.transactions.iter().copied()).take(self.begun())
    }

    pub(crate) fn commits(&self) -> impl Iterator<Item = Commit> + '_ {
        self.commits.iter().copied().take_while(|commit| commit.xid != 0)
    }

    /// Whether this author's transaction was begun here, whatever became of it.
    pub(crate) fn began(&self, author: Author) -> usize {
        let by = |transaction: &Transaction| match transaction {
            Transaction::Open(other) | Transaction::Committed(other) => *other == author,
            Transaction::Unborn | Transaction::Over => false,
        };
        self.transactions.iter().filter(|transaction| by(transaction)).count()
    }

    pub(crate) fn is_open(&self, xid: Xid) -> bool {
        matches!(self.transactions[usize::from(xid) - 1], Transaction::Open(_))
    }

    pub(crate) fn begin(&mut self, author: Author) -> Xid {
        let at = self.begun();
        self.transactions[at] = Transaction::Open(author);
        at as Xid + 1
    }

    pub(crate) fn commit(&mut self, xid: Xid, writers: &[Writer]) {
        let transaction = &mut self.transactions[usize::from(xid) - 1];
        let Transaction::Open(author) = *transaction else { unreachable!("only what is open commits") };
        *transaction = Transaction::Committed(author);
        if let Author::Writer(writer) = author {
            let facts = writers[usize::from(writer)].change(self.facts());
            let at = self.commits().count();
            self.commits[at] = Commit { xid, facts };
        }
    }

    pub(crate) fn roll_back(&mut self, xid: Xid) {
        self.transactions[usize::from(xid) - 1] = Transaction::Over;
    }

    /// Another history, which has only the first `kept` commits of this one. What was running is over, and numbers above the last commit that was
    /// kept are given again.
    pub(crate) fn fail_over(&mut self, kept: usize) {
        self.epoch += 1;
        self.commits[kept..].fill(Commit::default());
        let last = self.commits().map(|commit| commit.xid).max().unwrap_or(0);
        let commits = self.commits;
        for (xid, transaction) in (1..).zip(&mut self.transactions) {
            if xid > last {
                *transaction = Transaction::Unborn;
            } else if !commits.iter().any(|commit| commit.xid == xid) {
                *transaction = Transaction::Over;
            }
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let xmax = self.begun() as Xid + 1;
        let open = |xid: &Xid| self.is_open(*xid);
        let running = (1..xmax).filter(open).fold(0, |bits, xid| bits | 1 << xid);
        Snapshot { xmin: (1..xmax).find(open).unwrap_or(xmax), xmax, running }
    }

    /// The facts of now.
    pub(crate) fn facts(&self) -> Facts {
        self.commits().last().map_or(self.initial, |commit| commit.facts)
    }

    /// The facts after the first commits.
    pub(crate) fn facts_after(&self, commits: usize) -> Facts {
        if commits == 0 { self.initial } else { self.commits[commits - 1].facts }
    }
}
