//! What is done with times, and until when it comes to the same.

use super::error::Stop;
use super::evaluate::{Answer, Machine, no_form};
use super::functions::Function;
use super::horizon::Threshold;
use super::operators::overflow;
use super::time::{self, Part};
use super::value::{Moving, Value};

impl Machine<'_> {
    pub(super) fn times(&mut self, function: Function, values: &[Value], one: Moving, two: Moving) -> Answer {
        use Value::{Duration, Timestamp};
        let is_timestamp = match (function, values) {
            (Function::Add, [Timestamp(_), Duration(_)] | [Duration(_), Timestamp(_)])
            | (Function::Subtract, [Timestamp(_), Duration(_)]) => true,
            (Function::Add | Function::Subtract, [Duration(_), Duration(_)])
            | (Function::Subtract, [Timestamp(_), Timestamp(_)]) => false,
            _ => return Err(no_form("the operator", &values.iter().collect::<Vec<_>>())),
        };
        let (nanos, slope) = if function == Function::Add {
            (one.nanos + two.nanos, one.slope.checked_add(two.slope))
        } else {
            (one.nanos - two.nanos, one.slope.checked_sub(two.slope))
        };
        let (from, to) =
            if is_timestamp { (time::FIRST, time::LAST) } else { (i128::from(i64::MIN), i128::from(i64::MAX)) };
        if !(from..=to).contains(&nanos) {
            return Err(overflow());
        }
        let slope = slope.unwrap_or_else(|| {
            self.horizon.touch();
            0
        });
        let result = Moving { nanos, slope };
        self.horizon.within(result, from, to);
        Ok(if is_timestamp { Timestamp(result) } else { Duration(result) })
    }

    pub(super) fn ordered_times(&mut self, function: Function, one: Moving, two: Moving) -> bool {
        let difference = self.difference(one, two);
        // All four are `difference < threshold`, or its opposite.
        let threshold = i128::from(matches!(function, Function::LessOrEqual | Function::Greater));
        self.horizon.compared(difference, Threshold(threshold));
        let below = difference.nanos < threshold;
        below == matches!(function, Function::Less | Function::LessOrEqual)
    }

    pub(super) fn difference(&mut self, one: Moving, two: Moving) -> Moving {
        let slope = one.slope.checked_sub(two.slope).unwrap_or_else(|| {
            self.horizon.touch();
            0
        });
        Moving { nanos: one.nanos - two.nanos, slope }
    }

    pub(super) fn part(&mut self, part: Part, time: &Value, zone: Option<&Value>) -> Answer {
        let value = match (time, zone) {
            (Value::Duration(time), None) => {
                // Towards zero, units end on the other side of a multiple.
                if time.slope != 0 && time.nanos < 0 {
                    self.horizon.touch();
                }
                self.horizon.rounded(*time, part.unit());
                part.of_duration(time.nanos)
            }
            (Value::Timestamp(time), zone) => {
                let offset = match zone {
                    None => 0,
                    Some(Value::String(text)) => time::zone(text).ok_or_else(|| {
                        let shown = super::error::shown(text);
                        Stop::failed(format!(
                            "\"{shown}\" is no time zone that is supported; offsets such as \"+02:00\" are"
                        ))
                    })?,
                    Some(other) => return Err(no_form("the part of a time", &[other])),
                };
                let local = Moving { nanos: time.nanos + i128::from(offset) * time::NANOS_PER_SECOND, ..*time };
                self.horizon.rounded(local, part.unit());
                part.of_timestamp(local.nanos)
            }
            (other, _) => return Err(no_form("the part of a time", &[other])),
        };
        value.map(Value::Int).ok_or_else(overflow)
    }
}
