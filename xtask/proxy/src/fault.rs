//! What can go wrong, in values and in words.

use std::str::FromStr;
use std::time::Duration;

/// One of the two ways of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From the client to the server.
    Requests,
    /// From the server to the client.
    Replies,
}

/// How a connection ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Both sides are told that nothing more will come (FIN).
    Close,
    /// Both sides are told that the connection is broken (RST).
    Reset,
}

/// What happens to the bytes of one direction. Offsets and amounts count from when the fault was set, on each connection.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub enum Fault {
    /// They are delivered.
    #[default]
    None,
    /// They are delivered later, in their order. What comes meanwhile is read: latency does not narrow the line.
    Latency {
        /// How much later, at least.
        fixed: Duration,
        /// Up to how much is added, evenly distributed.
        jitter: Duration,
    },
    /// They are delivered a few at a time.
    Drip {
        /// How many.
        bytes: usize,
        /// How often.
        every: Duration,
    },
    /// They are read and forgotten, also the end of the stream: the peer is gone, and nobody has said so.
    Blackhole,
    /// They wait, up to 1 MiB, until another fault is set.
    Hold,
    /// What has been read is delivered, then this direction ends (FIN) while the other one goes on.
    HalfClose,
    /// The connection ends after this many bytes.
    Cut {
        /// How many are still delivered.
        after: u64,
        /// How it ends.
        end: End,
    },
    /// One bit in each of so many bytes, on average, is flipped.
    Corrupt {
        /// On average one byte of this many; 1 means each.
        one_in: u32,
    },
    /// The lowest bit of one byte is flipped.
    CorruptAt {
        /// Which one, from 0.
        offset: u64,
    },
    /// In what values hold (bulk strings of Redis' protocol) one bit in each of so many bytes, on average, is flipped; what
    /// frames them stays as it is, so that a client reads a value, and a wrong one.
    CorruptValues {
        /// On average one byte of this many; 1 means each.
        one_in: u32,
    },
    /// Of each two complete replies of Redis' protocol the second is delivered first. Pushed messages are no replies.
    SwapReplies {
        /// How long a reply waits for another one; then it is delivered alone.
        patience: Duration,
    },
}

/// Reads what the program's users type, such as `latency 50 10` (milliseconds) or `cut 100 reset`.
impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let number = |at: usize| -> Result<u64, String> {
            let word = words.get(at).ok_or_else(|| format!("`{text}` lacks a number; {HELP}"))?;
            word.parse().map_err(|_| format!("`{word}` is not a number"))
        };
        let milliseconds = |at| number(at).map(Duration::from_millis);
        let one_in = |at| number(at).and_then(|of| u32::try_from(of.max(1)).map_err(|_| format!("{of} is too large")));
        Ok(match words.first().copied().unwrap_or_default() {
            "none" => Self::None,
            "latency" => Self::Latency { fixed: milliseconds(1)?, jitter: milliseconds(2).unwrap_or_default() },
            "drip" => Self::Drip { bytes: usize::try_from(number(1)?).unwrap_or(usize::MAX), every: milliseconds(2)? },
            "blackhole" => Self::Blackhole,
            "hold" => Self::Hold,
            "half-close" => Self::HalfClose,
            "cut" => {
                let end = if words.get(2) == Some(&"reset") { End::Reset } else { End::Close };
                Self::Cut { after: number(1)?, end }
            }
            "corrupt" => Self::Corrupt { one_in: one_in(1)? },
            "corrupt-at" => Self::CorruptAt { offset: number(1)? },
            "corrupt-values" => Self::CorruptValues { one_in: one_in(1)? },
            "swap" => Self::SwapReplies { patience: milliseconds(1)? },
            other => return Err(format!("`{other}` is no fault; {HELP}")),
        })
    }
}

const HELP: &str = "the faults: none, latency MS [JITTER_MS], drip BYTES MS, blackhole, hold, half-close, cut BYTES [reset], \
                    corrupt ONE_IN, corrupt-at OFFSET, corrupt-values ONE_IN, swap PATIENCE_MS";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_from_words() {
        let fixed = Duration::from_millis(50);
        let read = |text: &str| text.parse::<Fault>();
        assert_eq!(read("latency 50"), Ok(Fault::Latency { fixed, jitter: Duration::ZERO }));
        assert_eq!(read("cut 3 reset"), Ok(Fault::Cut { after: 3, end: End::Reset }));
        assert_eq!(read("corrupt 0"), Ok(Fault::Corrupt { one_in: 1 }));
        assert!(read("drip 3").is_err_and(|why| why.contains("lacks a number")));
        assert!(read("nothing").is_err_and(|why| why.contains("the faults: none")));
    }
}
