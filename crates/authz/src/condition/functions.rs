//! What an expression can call: one table for the check, for messages, and for names that were misspelt.

use super::time::Part;
use super::types::{Scalar, Type};

/// An operator or a function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Function {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Negate,
    Not,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Index,
    Size,
    Contains,
    StartsWith,
    EndsWith,
    Matches,
    ToInt,
    ToUint,
    ToDouble,
    ToString,
    ToBool,
    ToBytes,
    ToTimestamp,
    ToDuration,
    ToDyn,
    ToKind,
    ToIp,
    InCidr,
    Get(Part),
}

use Function as F;

/// What is called by its name alone.
pub(super) const GLOBAL: &[(&str, Function)] = &[
    ("size", F::Size),
    ("matches", F::Matches),
    ("int", F::ToInt),
    ("uint", F::ToUint),
    ("double", F::ToDouble),
    ("string", F::ToString),
    ("bool", F::ToBool),
    ("bytes", F::ToBytes),
    ("timestamp", F::ToTimestamp),
    ("duration", F::ToDuration),
    ("dyn", F::ToDyn),
    ("type", F::ToKind),
    ("ipaddress", F::ToIp),
];

/// What is called on a value.
pub(super) const MEMBER: &[(&str, Function)] = &[
    ("size", F::Size),
    ("contains", F::Contains),
    ("startsWith", F::StartsWith),
    ("endsWith", F::EndsWith),
    ("matches", F::Matches),
    ("in_cidr", F::InCidr),
    ("getFullYear", F::Get(Part::FullYear)),
    ("getMonth", F::Get(Part::Month)),
    ("getDate", F::Get(Part::Date)),
    ("getDayOfMonth", F::Get(Part::DayOfMonth)),
    ("getDayOfWeek", F::Get(Part::DayOfWeek)),
    ("getDayOfYear", F::Get(Part::DayOfYear)),
    ("getHours", F::Get(Part::Hours)),
    ("getMinutes", F::Get(Part::Minutes)),
    ("getSeconds", F::Get(Part::Seconds)),
    ("getMilliseconds", F::Get(Part::Milliseconds)),
];

/// What the parser expands; its name is left in the expression where the arguments don't suit.
pub(super) const MACROS: &[(&str, &str)] = &[
    ("has", "has(value.key)"),
    ("all", "list.all(x, x > 0)"),
    ("exists", "list.exists(x, x > 0)"),
    ("exists_one", "list.exists_one(x, x > 0)"),
    ("map", "list.map(x, x + 1)"),
    ("filter", "list.filter(x, x > 0)"),
];

/// What the parser calls an operator, what it is, and how it is written.
pub(super) const OPERATORS: &[(&str, Function, &str)] = &[
    ("_+_", F::Add, "+"),
    ("_-_", F::Subtract, "-"),
    ("_*_", F::Multiply, "*"),
    ("_/_", F::Divide, "/"),
    ("_%_", F::Modulo, "%"),
    ("-_", F::Negate, "-"),
    ("!_", F::Not, "!"),
    ("_==_", F::Equal, "=="),
    ("_!=_", F::NotEqual, "!="),
    ("_<_", F::Less, "<"),
    ("_<=_", F::LessOrEqual, "<="),
    ("_>_", F::Greater, ">"),
    ("_>=_", F::GreaterOrEqual, ">="),
    ("@in", F::In, "in"),
    ("_[_]", F::Index, "[]"),
];

/// The arguments of a form, and its result.
pub(super) type Overload = (&'static [Scalar], Scalar);

use Scalar::{Bool, Bytes, Double, Duration, Int, Ip, String, Timestamp, Uint};

const ORDERED: &[Overload] = &[
    (&[Bool, Bool], Bool),
    (&[Int, Int], Bool),
    (&[Uint, Uint], Bool),
    (&[Double, Double], Bool),
    (&[String, String], Bool),
    (&[Bytes, Bytes], Bool),
    (&[Timestamp, Timestamp], Bool),
    (&[Duration, Duration], Bool),
];
const NUMBERS: &[Overload] = &[(&[Int, Int], Int), (&[Uint, Uint], Uint), (&[Double, Double], Double)];
const TEXTS: &[Overload] = &[(&[String, String], Bool)];

impl Function {
    /// Its forms without lists and maps.
    pub(super) const fn overloads(self) -> &'static [Overload] {
        match self {
            F::Add => &[
                (&[Int, Int], Int),
                (&[Uint, Uint], Uint),
                (&[Double, Double], Double),
                (&[String, String], String),
                (&[Bytes, Bytes], Bytes),
                (&[Timestamp, Duration], Timestamp),
                (&[Duration, Timestamp], Timestamp),
                (&[Duration, Duration], Duration),
            ],
            F::Subtract => &[
                (&[Int, Int], Int),
                (&[Uint, Uint], Uint),
                (&[Double, Double], Double),
                (&[Timestamp, Timestamp], Duration),
                (&[Timestamp, Duration], Timestamp),
                (&[Duration, Duration], Duration),
            ],
            F::Multiply | F::Divide => NUMBERS,
            F::Modulo => &[(&[Int, Int], Int), (&[Uint, Uint], Uint)],
            F::Negate => &[(&[Int], Int), (&[Double], Double)],
            F::Not => &[(&[Bool], Bool)],
            F::Less | F::LessOrEqual | F::Greater | F::GreaterOrEqual => ORDERED,
            F::Size => &[(&[String], Int), (&[Bytes], Int)],
            F::Contains | F::StartsWith | F::EndsWith | F::Matches => TEXTS,
            F::ToInt => &[
                (&[Int], Int),
                (&[Uint], Int),
                (&[Double], Int),
                (&[String], Int),
                (&[Timestamp], Int),
                (&[Duration], Int),
            ],
            F::ToUint => &[(&[Uint], Uint), (&[Int], Uint), (&[Double], Uint), (&[String], Uint)],
            F::ToDouble => &[(&[Double], Double), (&[Int], Double), (&[Uint], Double), (&[String], Double)],
            F::ToString => &[
                (&[String], String),
                (&[Bool], String),
                (&[Int], String),
                (&[Uint], String),
                (&[Double], String),
                (&[Bytes], String),
                (&[Timestamp], String),
                (&[Duration], String),
            ],
            F::ToBool => &[(&[Bool], Bool), (&[String], Bool)],
            F::ToBytes => &[(&[Bytes], Bytes), (&[String], Bytes)],
            F::ToTimestamp => &[(&[Timestamp], Timestamp), (&[String], Timestamp), (&[Int], Timestamp)],
            F::ToDuration => &[(&[Duration], Duration), (&[String], Duration)],
            F::ToIp => &[(&[String], Ip)],
            F::InCidr => &[(&[Ip, String], Bool)],
            F::Get(Part::Hours | Part::Minutes | Part::Seconds | Part::Milliseconds) => {
                &[(&[Timestamp], Int), (&[Timestamp, String], Int), (&[Duration], Int)]
            }
            F::Get(_) => &[(&[Timestamp], Int), (&[Timestamp, String], Int)],
            F::Equal | F::NotEqual | F::In | F::Index | F::ToDyn | F::ToKind => &[],
        }
    }

    /// The type of a call with arguments of these types; none where no form takes them.
    pub(super) fn result(self, arguments: &[Type]) -> Option<Type> {
        match (self, arguments) {
            (F::Equal | F::NotEqual, [one, two]) => one.fits(two).then_some(Type::BOOL),
            (F::In, [_, Type::Dyn]) => Some(Type::BOOL),
            (F::In, [element, Type::List(of)]) => element.fits(of).then_some(Type::BOOL),
            (F::In, [key, Type::Map(of, _)]) => key.fits(of).then_some(Type::BOOL),
            (F::Index, [Type::Dyn, _]) => Some(Type::Dyn),
            (F::Index, [Type::List(of), at]) => at.fits(&Type::INT).then(|| (**of).clone()),
            (F::Index, [Type::Map(key, of), at]) => at.fits(key).then(|| (**of).clone()),
            (F::ToDyn, [_]) => Some(Type::Dyn),
            (F::ToKind, [_]) => Some(Type::Scalar(Scalar::Kind)),
            (F::Size, [Type::List(_) | Type::Map(..)]) => Some(Type::INT),
            (F::Add, [one @ Type::List(_), two @ Type::List(_)]) => one.fits(two).then(|| one.clone().join(two)),
            (F::Add, [Type::List(_), Type::Dyn] | [Type::Dyn, Type::List(_)]) => Some(Type::list(Type::Dyn)),
            _ => self.scalar_result(arguments),
        }
    }

    fn scalar_result(self, arguments: &[Type]) -> Option<Type> {
        let suits = |(taken, _): &&Overload| {
            taken.len() == arguments.len()
                && taken.iter().zip(arguments).all(|(taken, given)| Type::Scalar(*taken).fits(given))
        };
        let mut results = self.overloads().iter().filter(suits).map(|(_, result)| *result);
        let first = results.next()?;
        Some(if results.all(|result| result == first) { Type::Scalar(first) } else { Type::Dyn })
    }

    /// Its forms, for a remedy.
    pub(super) fn forms(self) -> std::string::String {
        let more = match self {
            F::Equal | F::NotEqual => "two values of one type",
            F::In => "an element and a list, or a key and a map",
            F::Index => "a list and an int, or a map and one of its keys",
            F::Size => "a list, a map, ",
            F::Add => "two lists, ",
            _ => "",
        };
        let forms = self.overloads().iter().map(|(taken, _)| {
            let names: Vec<_> = taken.iter().map(ToString::to_string).collect();
            format!("({})", names.join(", "))
        });
        format!("it takes {more}{}", forms.collect::<Vec<_>>().join(", "))
    }
}
