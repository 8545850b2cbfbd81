//! Times as text, and the parts of a time. The years 1 to 9999 exist, as in RFC 3339.

use jiff::civil::{self, Date};

pub(super) const NANOS_PER_SECOND: i128 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// 0001-01-01T00:00:00Z
pub(super) const FIRST: i128 = -62_135_596_800 * NANOS_PER_SECOND;
/// The last nanosecond of 9999-12-31.
pub(super) const LAST: i128 = 253_402_300_800 * NANOS_PER_SECOND - 1;

const EPOCH: Date = civil::date(1970, 1, 1);

/// Nanoseconds since 1970 of a text as RFC 3339 has it; digits beyond the ninth of a fraction are cut off.
pub(super) fn timestamp(text: &str) -> Option<i128> {
    let bytes = text.as_bytes();
    let sign = |at: usize, sign: u8| bytes.get(at) == Some(&sign);
    if !(sign(4, b'-') && sign(7, b'-') && sign(10, b'T') && sign(13, b':') && sign(16, b':')) {
        return None;
    }
    let part = |from: usize, to: usize| digits(bytes.get(from..to)?);
    let date =
        Date::new(i16::try_from(part(0, 4)?).ok()?, i8::try_from(part(5, 7)?).ok()?, i8::try_from(part(8, 10)?).ok()?)
            .ok()?;
    let (hour, minute, second) = (part(11, 13)?, part(14, 16)?, part(17, 19)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut rest = bytes.get(19..)?;
    let mut fraction = 0;
    if let Some(after) = rest.strip_prefix(b".") {
        let count = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return None;
        }
        for place in 0..9 {
            fraction =
                fraction * 10 + after.get(place).filter(|_| place < count).map_or(0, |digit| i128::from(digit - b'0'));
        }
        rest = &after[count..];
    }
    let offset = if rest == b"Z" { 0 } else { offset_of(rest)? };
    let days = EPOCH.duration_until(date).as_secs() / SECONDS_PER_DAY;
    let seconds = days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second - offset;
    in_range(i128::from(seconds) * NANOS_PER_SECOND + fraction)
}

fn in_range(nanos: i128) -> Option<i128> {
    (FIRST..=LAST).contains(&nanos).then_some(nanos)
}

fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0_i64, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
}

/// Seconds of `+hh:mm`.
fn offset_of(bytes: &[u8]) -> Option<i64> {
    let (sign, rest) = bytes.split_first()?;
    let sign = match sign {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    if rest.len() != 5 || rest[2] != b':' {
        return None;
    }
    let (hours, minutes) = (digits(&rest[..2])?, digits(&rest[3..])?);
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
}

/// Nanoseconds of a text as `1h30m`, `-1.5s`, `250ms`, `0`.
pub(super) fn duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let number = rest.find(|sign: char| !sign.is_ascii_digit() && sign != '.')?;
        let (digits, after) = rest.split_at(number);
        let end = after.find(|sign: char| sign.is_ascii_digit() || sign == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let unit: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => NANOS_PER_SECOND,
            "m" => 60 * NANOS_PER_SECOND,
            "h" => 3_600 * NANOS_PER_SECOND,
            _ => return None,
        };
        total = total.checked_add(scaled(digits, unit)?)?;
        if total > -i128::from(i64::MIN) {
            return None;
        }
        rest = after;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

/// A number with an optional fraction, times a unit; what is less than a nanosecond is cut off.
fn scaled(digits: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()?.into() };
    let mut value = whole.checked_mul(unit)?;
    let mut place = unit;
    for digit in fraction.bytes() {
        // A finer digit than the unit has would add nothing.
        if place % 10 != 0 && place < 10 {
            break;
        }
        value += i128::from(digit - b'0') * place / 10;
        place /= 10;
    }
    Some(value)
}

/// Seconds east of UTC. Names of zones need a table that changes with politics; there is none here but `UTC`.
pub(super) fn zone(text: &str) -> Option<i64> {
    if matches!(text, "" | "UTC" | "Z") {
        return Some(0);
    }
    match text.as_bytes().first()? {
        b'+' | b'-' => offset_of(text.as_bytes()),
        _ => offset_of(format!("+{text}").as_bytes()),
    }
}

/// A part of a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    FullYear,
    Month,
    Date,
    DayOfMonth,
    DayOfWeek,
    DayOfYear,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
}

impl Part {
    /// Nanoseconds for which it stays the same at the least, from a multiple of them on.
    pub(super) const fn unit(self) -> i128 {
        match self {
            Self::Hours => 3_600 * NANOS_PER_SECOND,
            Self::Minutes => 60 * NANOS_PER_SECOND,
            Self::Seconds => NANOS_PER_SECOND,
            Self::Milliseconds => 1_000_000,
            _ => SECONDS_PER_DAY as i128 * NANOS_PER_SECOND,
        }
    }

    /// Of a timestamp whose offset was added to it; none outside of the calendar.
    pub(super) fn of_timestamp(self, local: i128) -> Option<i64> {
        let seconds = i64::try_from(local.div_euclid(NANOS_PER_SECOND)).ok()?;
        let of_day = seconds.rem_euclid(SECONDS_PER_DAY);
        Some(match self {
            Self::Hours => of_day / 3600,
            Self::Minutes => of_day / 60 % 60,
            Self::Seconds => of_day % 60,
            Self::Milliseconds => i64::try_from(local.rem_euclid(NANOS_PER_SECOND) / 1_000_000).ok()?,
            _ => {
                let (date, years) = date(seconds)?;
                match self {
                    Self::FullYear => i64::from(date.year()) + years,
                    Self::Month => i64::from(date.month()) - 1,
                    Self::Date => i64::from(date.day()),
                    Self::DayOfMonth => i64::from(date.day()) - 1,
                    Self::DayOfWeek => i64::from(date.weekday().to_sunday_zero_offset()),
                    _ => i64::from(date.day_of_year()) - 1,
                }
            }
        })
    }

    /// Of a duration: all of it, in this unit.
    pub(super) fn of_duration(self, nanos: i128) -> Option<i64> {
        i64::try_from(nanos / self.unit()).ok()
    }
}

/// The date, and the years to add to it. An offset leads out of the years that there are, and the calendar repeats itself.
fn date(seconds: i64) -> Option<(Date, i64)> {
    const ERA: (i64, i64) = (400, 146_097);
    let days = seconds.div_euclid(SECONDS_PER_DAY);
    let (years, days) = if days > i64::from(i16::MAX) { (ERA.0, days - ERA.1) } else { (0, days) };
    let span = jiff::Span::new().try_days(days).ok()?;
    EPOCH.checked_add(span).ok().map(|date| (date, years))
}

/// A timestamp as RFC 3339 has it, in UTC, without zeros at the end of a fraction.
pub(super) fn timestamp_text(nanos: i128) -> Option<String> {
    let part = |part: Part| part.of_timestamp(nanos);
    let mut text = format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        part(Part::FullYear)?,
        part(Part::Month)? + 1,
        part(Part::Date)?,
        part(Part::Hours)?,
        part(Part::Minutes)?,
        part(Part::Seconds)?
    );
    text.push_str(&fraction(nanos.rem_euclid(NANOS_PER_SECOND)));
    text.push('Z');
    Some(text)
}

/// A duration in seconds: `5400s`, `-1.5s`.
pub(super) fn duration_text(nanos: i128) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    let second = NANOS_PER_SECOND.unsigned_abs();
    let part = i128::try_from(nanos % second).unwrap_or_default();
    format!("{sign}{}{}s", nanos / second, fraction(part))
}

fn fraction(nanos: i128) -> String {
    if nanos == 0 {
        return String::new();
    }
    format!(".{}", format!("{nanos:09}").trim_end_matches('0'))
}
