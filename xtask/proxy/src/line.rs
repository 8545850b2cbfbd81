//! What one direction of a connection does to its bytes. It knows no sockets and no clock: both are brought to it.
//!
//! Bytes keep their order under every fault but the one that exchanges replies, also when the fault changes while some
//! of them are on their way.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::counters::Flow;
use crate::fault::{End, Fault};
use crate::resp;

/// Bytes on their way. What comes beyond waits in the sender's socket.
const MOST: usize = 1 << 20;

/// One direction of one connection.
pub(crate) struct Line {
    fault: Fault,
    random: fastrand::Rng,
    /// To be delivered, in this order.
    pieces: VecDeque<Piece>,
    /// How much of the first one was delivered.
    delivered: usize,
    queued: usize,
    /// Bytes that came since the fault was set.
    offset: u64,
    /// An incomplete reply.
    partial: Vec<u8>,
    /// A complete reply that waits for another one, and how long.
    lonely: Option<Piece>,
    ended: Option<Ended>,
    /// What was done, until somebody asks.
    done: Flow,
}

struct Piece {
    due: Instant,
    bytes: Vec<u8>,
}

/// What comes after the last byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// The end of this direction.
    Direction,
    /// The end of the connection.
    Connection(End),
}

impl Line {
    pub(crate) fn new(random: fastrand::Rng) -> Self {
        Self {
            fault: Fault::None,
            random,
            pieces: VecDeque::new(),
            delivered: 0,
            queued: 0,
            offset: 0,
            partial: Vec::new(),
            lonely: None,
            ended: None,
            done: Flow::default(),
        }
    }

    /// From now on this happens, also to what is on its way.
    pub(crate) fn change(&mut self, fault: Fault, now: Instant) {
        if let Some(lonely) = self.lonely.take() {
            self.push(lonely.bytes, now);
        }
        let partial = std::mem::take(&mut self.partial);
        self.push(partial, now);
        self.pieces.iter_mut().for_each(|piece| piece.due = now);
        self.fault = fault;
        self.offset = 0;
        match fault {
            Fault::Blackhole => {
                self.done.swallowed += (self.queued - self.delivered) as u64;
                self.pieces.clear();
                (self.queued, self.delivered) = (0, 0);
            }
            Fault::HalfClose => _ = self.ended.get_or_insert(Ended::Direction),
            Fault::Cut { after: 0, end } => _ = self.ended.get_or_insert(Ended::Connection(end)),
            _ => {}
        }
    }

    /// Bytes have come.
    pub(crate) fn take(&mut self, bytes: &[u8], now: Instant) {
        self.done.read += bytes.len() as u64;
        let offset = self.offset;
        self.offset += bytes.len() as u64;
        if self.ended.is_some() {
            self.done.swallowed += bytes.len() as u64;
            return;
        }
        match self.fault {
            Fault::None | Fault::Hold | Fault::HalfClose => self.push(bytes.to_vec(), now),
            Fault::Latency { fixed, jitter } => {
                let due = now + fixed + jitter.mul_f64(self.random.f64());
                // One that was lucky does not overtake one that was not.
                let due = self.pieces.back().map_or(due, |before| before.due.max(due));
                self.push(bytes.to_vec(), due);
            }
            Fault::Drip { bytes: few, every } => self.drip(bytes, few.max(1), every, now),
            Fault::Blackhole => self.done.swallowed += bytes.len() as u64,
            Fault::Cut { after, end } => {
                let left = usize::try_from(after.saturating_sub(offset)).unwrap_or(usize::MAX);
                if left <= bytes.len() {
                    self.done.swallowed += (bytes.len() - left) as u64;
                    self.ended = Some(Ended::Connection(end));
                }
                self.push(bytes[..left.min(bytes.len())].to_vec(), now);
            }
            Fault::Corrupt { one_in } => {
                let mut bytes = bytes.to_vec();
                self.corrupt(&mut bytes, one_in);
                self.push(bytes, now);
            }
            Fault::CorruptAt { offset: at } => {
                let mut bytes = bytes.to_vec();
                if let Some(byte) = at.checked_sub(offset).and_then(|at| bytes.get_mut(usize::try_from(at).ok()?)) {
                    *byte ^= 1;
                    self.done.corrupted += 1;
                }
                self.push(bytes, now);
            }
            Fault::CorruptValues { one_in } => {
                self.partial.extend(bytes);
                self.each_reply(now, |line, mut reply, values, _| {
                    values.into_iter().for_each(|value| line.corrupt(&mut reply[value], one_in));
                    line.push(reply, now);
                });
            }
            Fault::SwapReplies { patience } => {
                self.partial.extend(bytes);
                self.each_reply(now, |line, reply, _, pushed| match line.lonely.take() {
                    lonely if pushed => {
                        line.push(reply, now);
                        line.lonely = lonely;
                    }
                    Some(lonely) => {
                        line.push(reply, now);
                        line.push(lonely.bytes, now);
                        line.done.swapped += 1;
                    }
                    None => line.lonely = Some(Piece { due: now + patience, bytes: reply }),
                });
            }
        }
    }

    /// No more bytes will come.
    pub(crate) fn end(&mut self, now: Instant) {
        if self.fault != Fault::Blackhole && self.ended.is_none() {
            self.ended = Some(Ended::Direction);
            let lonely = self.lonely.take().map(|lonely| lonely.bytes).unwrap_or_default();
            self.push(lonely, now);
            let partial = std::mem::take(&mut self.partial);
            self.push(partial, now);
        }
    }

    /// Whether bytes may come. Whoever has no room for them leaves them with the sender.
    pub(crate) fn has_room(&self) -> bool {
        self.queued + self.partial.len() < MOST
    }

    /// What is to be delivered now.
    pub(crate) fn due(&mut self, now: Instant) -> Option<&[u8]> {
        if self.fault == Fault::Hold {
            return None;
        }
        if let Some(lonely) = self.lonely.take_if(|lonely| lonely.due <= now) {
            self.push(lonely.bytes, now);
        }
        self.pieces.front().filter(|piece| piece.due <= now).map(|piece| &piece.bytes[self.delivered..])
    }

    /// When something more will be due, if time alone brings that.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        if self.fault == Fault::Hold {
            return None;
        }
        self.pieces.front().into_iter().chain(&self.lonely).map(|piece| piece.due).min()
    }

    /// So many bytes of what was due were delivered.
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.done.written += bytes as u64;
        self.delivered += bytes;
        let whole = self.pieces.front().map_or(0, |piece| piece.bytes.len());
        if self.delivered >= whole {
            self.pieces.pop_front();
            self.queued -= whole;
            self.delivered = 0;
        }
    }

    /// What comes now that everything is delivered.
    pub(crate) fn ended(&self) -> Option<Ended> {
        let waits = !self.pieces.is_empty() || self.fault == Fault::Hold;
        self.ended.filter(|_| !waits)
    }

    /// What was done since this was last asked.
    pub(crate) fn done(&mut self) -> Flow {
        std::mem::take(&mut self.done)
    }

    fn push(&mut self, bytes: Vec<u8>, due: Instant) {
        if !bytes.is_empty() {
            self.queued += bytes.len();
            self.pieces.push_back(Piece { due, bytes });
        }
    }

    fn drip(&mut self, bytes: &[u8], few: usize, every: Duration, now: Instant) {
        for drop in bytes.chunks(few) {
            let due = self.pieces.back().map_or(now, |before| before.due.max(now)) + every;
            self.push(drop.to_vec(), due);
        }
    }

    fn corrupt(&mut self, bytes: &mut [u8], one_in: u32) {
        for byte in bytes {
            if self.random.u32(0..one_in.max(1)) == 0 {
                *byte ^= 1 << self.random.u32(0..8);
                self.done.corrupted += 1;
            }
        }
    }

    /// Takes complete replies from what has come. What is not Redis' protocol is delivered as it is.
    fn each_reply(
        &mut self,
        now: Instant,
        mut with: impl FnMut(&mut Self, Vec<u8>, Vec<std::ops::Range<usize>>, bool),
    ) {
        loop {
            match resp::first(&self.partial) {
                Ok(Some(frame)) => {
                    let rest = self.partial.split_off(frame.length);
                    let reply = std::mem::replace(&mut self.partial, rest);
                    with(self, reply, frame.values, frame.pushed);
                }
                Ok(None) => return,
                Err(resp::Foreign) => {
                    let foreign = std::mem::take(&mut self.partial);
                    return self.push(foreign, now);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn line(fault: Fault, now: Instant) -> Line {
        let mut line = Line::new(fastrand::Rng::with_seed(7));
        line.change(fault, now);
        line
    }

    /// Everything that is due.
    fn deliver(line: &mut Line, now: Instant) -> String {
        let mut all = Vec::new();
        while let Some(due) = line.due(now) {
            let due = due.to_vec();
            line.advance(due.len());
            all.extend(due);
        }
        String::from_utf8(all).expect("it is text")
    }

    #[test]
    fn latency_delays_each_piece_by_its_own_time_and_keeps_the_order() {
        let start = Instant::now();
        let mut line = line(Fault::Latency { fixed: 10 * MS, jitter: 5 * MS }, start);
        for (number, text) in ["a", "b", "c"].into_iter().enumerate() {
            line.take(text.as_bytes(), start + MS * u32::try_from(number).expect("it is small"));
        }
        assert_eq!(deliver(&mut line, start + 9 * MS), "");
        assert_eq!(deliver(&mut line, start + 17 * MS), "abc", "the later ones did not wait for the first one's delay");
    }

    #[test]
    fn a_drip_gives_a_few_bytes_at_a_time() {
        let start = Instant::now();
        let mut line = line(Fault::Drip { bytes: 2, every: 10 * MS }, start);
        line.take(b"abcde", start);
        assert_eq!(line.next_due(), Some(start + 10 * MS));
        assert_eq!(deliver(&mut line, start + 10 * MS), "ab");
        assert_eq!(deliver(&mut line, start + 29 * MS), "cd");
        line.change(Fault::None, start + 29 * MS);
        assert_eq!(deliver(&mut line, start + 29 * MS), "e", "a change delivers what waited");
    }

    #[test]
    fn what_is_held_comes_in_its_order_with_the_end_last() {
        let now = Instant::now();
        let mut line = line(Fault::Hold, now);
        line.take(b"a", now);
        line.end(now);
        assert_eq!(deliver(&mut line, now), "");
        assert_eq!((line.next_due(), line.ended()), (None, None));
        line.change(Fault::None, now);
        assert_eq!(line.ended(), None);
        assert_eq!(deliver(&mut line, now), "a");
        assert_eq!(line.ended(), Some(Ended::Direction));
    }

    #[test]
    fn a_gate_has_room_for_so_much_and_no_more() {
        let now = Instant::now();
        let mut line = line(Fault::Hold, now);
        line.take(&vec![0; MOST], now);
        assert!(!line.has_room());
        line.change(Fault::Blackhole, now);
        assert!(line.has_room(), "what waited was swallowed");
        assert_eq!(line.done().swallowed, MOST as u64);
        line.end(now);
        assert_eq!(line.ended(), None, "and so is the end");
    }

    #[test]
    fn a_cut_counts_bytes_across_pieces() {
        let now = Instant::now();
        let mut line = line(Fault::Cut { after: 3, end: End::Reset }, now);
        line.take(b"ab", now);
        assert_eq!(deliver(&mut line, now), "ab");
        assert_eq!(line.ended(), None);
        line.take(b"cd", now);
        assert_eq!(deliver(&mut line, now), "c");
        assert_eq!(line.ended(), Some(Ended::Connection(End::Reset)));
    }

    #[test]
    fn one_byte_or_each_is_corrupted() {
        let now = Instant::now();
        let mut one = line(Fault::CorruptAt { offset: 3 }, now);
        one.take(b"aaa", now);
        one.take(b"aaa", now);
        assert_eq!(deliver(&mut one, now), "aaa`aa");
        assert_eq!(one.done().corrupted, 1);

        let mut each = line(Fault::CorruptValues { one_in: 1 }, now);
        each.take(b"$3\r\nab", now);
        each.take(b"c\r\n+OK\r\n", now);
        let mut bytes = Vec::new();
        while let Some(due) = each.due(now).map(<[u8]>::to_vec) {
            each.advance(due.len());
            bytes.extend(due);
        }
        assert_eq!(each.done().corrupted, 3);
        assert!(bytes.starts_with(b"$3\r\n") && bytes.ends_with(b"\r\n+OK\r\n"), "{bytes:?}");
        assert!(bytes[4..7].iter().zip(b"abc").all(|(is, was)| is != was), "{bytes:?}");
    }

    #[test]
    fn of_two_replies_the_second_comes_first() {
        let now = Instant::now();
        let mut line = line(Fault::SwapReplies { patience: 10 * MS }, now);
        line.take(b"+a\r\n$1\r\n", now);
        assert_eq!(deliver(&mut line, now), "", "one waits for another");
        line.take(b"b\r\n+c\r\n", now);
        assert_eq!(deliver(&mut line, now), "$1\r\nb\r\n+a\r\n");
        assert_eq!(line.next_due(), Some(now + 10 * MS));
        line.take(b">1\r\n+pushed\r\n", now);
        assert_eq!(deliver(&mut line, now), ">1\r\n+pushed\r\n");
        assert_eq!(deliver(&mut line, now + 10 * MS), "+c\r\n", "nothing more came");
        line.take(b"HTTP", now);
        assert_eq!(deliver(&mut line, now), "HTTP", "what is no reply is not held back");
        assert_eq!(line.done().swapped, 1);
    }
}
