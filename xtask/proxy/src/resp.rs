//! Where a reply of Redis' protocol ends, and where within it values lie. Versions 2 and 3 of the protocol.

use std::ops::Range;

/// A complete reply at the beginning of some bytes.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Frame {
    pub(crate) length: usize,
    /// A message that nobody asked for.
    pub(crate) pushed: bool,
    /// Where the contents of bulk strings lie.
    pub(crate) values: Vec<Range<usize>>,
}

/// Bytes that are not Redis' protocol.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Foreign;

/// The first reply, or `None` where it is not yet complete.
pub(crate) fn first(bytes: &[u8]) -> Result<Option<Frame>, Foreign> {
    let mut frame = Frame { length: 0, pushed: bytes.first() == Some(&b'>'), values: Vec::new() };
    let mut wanted: usize = 1;
    while wanted > 0 {
        let Some((kind, line, next)) = line(bytes, frame.length)? else { return Ok(None) };
        wanted -= 1;
        frame.length = next;
        match kind {
            b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => {}
            b'$' | b'!' | b'=' => {
                let Some(length) = number(line)? else { continue };
                let end = next.checked_add(length).and_then(|end| end.checked_add(2)).ok_or(Foreign)?;
                if bytes.len() < end {
                    return Ok(None);
                }
                frame.values.push(next..end - 2);
                frame.length = end;
            }
            b'*' | b'~' | b'>' => wanted = wanted.checked_add(number(line)?.unwrap_or(0)).ok_or(Foreign)?,
            b'%' => wanted = pairs(line).and_then(|more| wanted.checked_add(more)).ok_or(Foreign)?,
            // Attributes stand before the reply that they describe.
            b'|' => wanted = pairs(line).and_then(|more| wanted.checked_add(more)?.checked_add(1)).ok_or(Foreign)?,
            _ => return Err(Foreign),
        }
    }
    Ok(Some(frame))
}

/// The kind and the rest of a line, and where the next one begins.
type Line<'a> = (u8, &'a [u8], usize);

/// The line at `at`, or `None` where it is not yet complete.
fn line(bytes: &[u8], at: usize) -> Result<Option<Line<'_>>, Foreign> {
    let rest = &bytes[at..];
    let Some(&kind) = rest.first() else { return Ok(None) };
    if !b"+-:_#,($!=*~>%|".contains(&kind) {
        return Err(Foreign);
    }
    let end = rest.windows(2).position(|two| two == b"\r\n");
    Ok(end.map(|end| (kind, &rest[1..end], at + end + 2)))
}

/// A length; `None` for the null of version 2.
fn number(line: &[u8]) -> Result<Option<usize>, Foreign> {
    let text = std::str::from_utf8(line).map_err(|_| Foreign)?;
    if text == "-1" { Ok(None) } else { text.parse().map(Some).map_err(|_| Foreign) }
}

fn pairs(line: &[u8]) -> Option<usize> {
    number(line).ok()??.checked_mul(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_complete_with_its_last_byte_and_not_before() {
        let replies: [&[u8]; 9] = [
            b"+OK\r\n",
            b":12\r\n",
            b"$3\r\na\r\n\r\n",
            b"$-1\r\n",
            b"*3\r\n$1\r\na\r\n*1\r\n:1\r\n*-1\r\n",
            b"%1\r\n+a\r\n~2\r\n#t\r\n_\r\n",
            b"|1\r\n+ttl\r\n:1\r\n$0\r\n\r\n",
            b">2\r\n+message\r\n=5\r\ntxt:a\r\n",
            b"*0\r\n",
        ];
        for reply in replies {
            for cut in 0..reply.len() {
                assert_eq!(first(&reply[..cut]), Ok(None), "{:?}", String::from_utf8_lossy(&reply[..cut]));
            }
            let more = [reply, b"+more\r\n"].concat();
            let frame = first(&more).expect("it is the protocol").expect("it is complete");
            assert_eq!(frame.length, reply.len());
            assert_eq!(frame.pushed, reply.starts_with(b">"));
        }
    }

    #[test]
    fn values_are_what_bulk_strings_hold() {
        let frame = first(b"*2\r\n$2\r\nab\r\n+c\r\n").expect("it is the protocol").expect("it is complete");
        assert_eq!(frame.values, vec![8..10]);
    }

    #[test]
    fn other_protocols_are_told_apart() {
        for bytes in ["HTTP/1.1 200 OK\r\n", "$x\r\n", "*18446744073709551615\r\n*18446744073709551615\r\n"] {
            assert_eq!(first(bytes.as_bytes()), Err(Foreign), "{bytes}");
        }
    }
}
