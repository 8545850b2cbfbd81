//! Expressions that are well typed, drawn at random, with values for what they read.

use fastrand::Rng;
use serde_json::{Map, Value, json};

/// The parameters that expressions may read.
pub(crate) const PARAMETERS: &[(&str, &str)] = &[
    ("b", "bool"),
    ("s", "string"),
    ("t", "string"),
    ("i", "int"),
    ("j", "int"),
    ("u", "uint"),
    ("d", "double"),
    ("span", "duration"),
    ("at", "timestamp"),
    ("ip", "ipaddress"),
    ("numbers", "list<int>"),
    ("names", "list<string>"),
    ("labels", "map<int>"),
    ("a", "any"),
];

/// How deep an expression is, at the most.
const DEPTH: u32 = 4;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Int,
    Uint,
    Double,
    String,
    Duration,
    Timestamp,
    Ip,
    Numbers,
    Names,
    Labels,
    Any,
}

use Kind::{Any, Bool, Double, Duration, Int, Ip, Labels, Names, Numbers, String as Text, Timestamp, Uint};

pub(crate) struct Generator {
    random: Rng,
    /// How many macros enclose what is drawn; each binds `e0`, `e1` to an int.
    bound: usize,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: Rng::with_seed(seed), bound: 0 }
    }

    /// An expression that comes to a bool.
    pub(crate) fn expression(&mut self) -> String {
        self.bound = 0;
        self.draw(Bool, DEPTH)
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.random.usize(..from.len())]
    }

    fn draw(&mut self, kind: Kind, depth: u32) -> String {
        let Some(depth) = depth.checked_sub(1).filter(|_| self.random.u8(..8) > 0) else { return self.leaf(kind) };
        match kind {
            Bool => self.boolean(depth),
            Int => self.int(depth),
            Uint => match self.random.u8(..3) {
                0 => self.infix(&["+", "-", "*", "/", "%"], Uint, depth),
                1 => format!("uint({})", self.draw(Int, depth)),
                _ => self.leaf(Uint),
            },
            Double => match self.random.u8(..4) {
                0 => self.infix(&["+", "-", "*", "/"], Double, depth),
                1 => format!("double({})", self.draw(Int, depth)),
                2 => format!("-{}", self.leaf(Double)),
                _ => self.leaf(Double),
            },
            Text => match self.random.u8(..6) {
                0 => self.infix(&["+"], Text, depth),
                1 => {
                    let kind = [Int, Uint, Double, Bool, Duration, Timestamp][self.random.usize(..6)];
                    format!("string({})", self.draw(kind, depth))
                }
                2 => format!("{}[{}]", self.draw(Names, depth), self.draw(Int, depth)),
                3 => self.choice(Text, depth),
                _ => self.leaf(Text),
            },
            Duration => match self.random.u8(..4) {
                0 => self.infix(&["+", "-"], Duration, depth),
                1 => self.infix(&["-"], Timestamp, depth),
                _ => self.leaf(Duration),
            },
            Timestamp => match self.random.u8(..3) {
                0 => {
                    let operator = self.pick(&["+", "-"]);
                    format!("({} {operator} {})", self.draw(Timestamp, depth), self.draw(Duration, depth))
                }
                1 => self.choice(Timestamp, depth),
                _ => self.leaf(Timestamp),
            },
            Numbers => match self.random.u8(..5) {
                0 => self.infix(&["+"], Numbers, depth),
                1 => self.each(Numbers, "map", Int, depth),
                2 => self.each(Numbers, "filter", Bool, depth),
                3 => format!("[{}, {}]", self.draw(Int, depth), self.draw(Int, depth)),
                _ => self.leaf(Numbers),
            },
            Names => match self.random.u8(..3) {
                0 => self.infix(&["+"], Names, depth),
                1 => format!("[{}]", self.draw(Text, depth)),
                _ => self.leaf(Names),
            },
            Labels => format!("{{'a': {}, 'z': {}}}", self.draw(Int, depth), self.draw(Int, depth)),
            Any => match self.random.u8(..3) {
                0 => {
                    let kind = [Int, Text, Double, Numbers, Uint][self.random.usize(..5)];
                    format!("dyn({})", self.draw(kind, depth))
                }
                1 => format!("a[{}]", self.draw(Text, depth)),
                _ => self.leaf(Any),
            },
            Ip => self.leaf(Ip),
        }
    }

    fn boolean(&mut self, depth: u32) -> String {
        const ORDER: &[&str] = &["<", "<=", ">", ">=", "==", "!="];
        match self.random.u8(..20) {
            0..=2 => self.infix(&["&&", "||"], Bool, depth),
            3 => format!("!{}", self.draw(Bool, depth)),
            4 => self.choice(Bool, depth),
            5..=9 => {
                let kind = [Int, Int, Uint, Double, Text, Duration, Timestamp][self.random.usize(..7)];
                self.infix(ORDER, kind, depth)
            }
            10 => {
                let kind = [Numbers, Names, Labels, Ip, Bool][self.random.usize(..5)];
                self.infix(&["==", "!="], kind, depth)
            }
            11 => format!("({} in {})", self.draw(Int, depth), self.draw(Numbers, depth)),
            12 => format!("({} in {})", self.draw(Text, depth), self.draw(Labels, depth)),
            13 => {
                let (macro_name, over) = (self.pick(&["all", "exists", "exists_one"]), self.numbers_or_leaf(depth));
                self.macro_call(&over, macro_name, Bool, depth)
            }
            14 => {
                let member = self.pick(&["contains", "startsWith", "endsWith"]);
                format!("{}.{member}({})", self.draw(Text, depth), self.draw(Text, depth))
            }
            15 => {
                let pattern =
                    self.pick(&["^[a-c]+$", "\\\\d", "(?i)A", "x|b", "^\\\\w*$", "[^a]", "a{2,}", "^$", "\\\\bab"]);
                format!("{}.matches('{pattern}')", self.draw(Text, depth))
            }
            16 => {
                let range =
                    self.pick(&["10.0.0.0/8", "10.1.2.3/30", "2001:db8::/32", "::/0", "0.0.0.0/0", "10.1.2.3/32"]);
                format!("{}.in_cidr('{range}')", self.draw(Ip, depth))
            }
            17 => format!("has(labels.{})", self.pick(&["a", "k", "zz"])),
            18 => self.infix(&["==", "!="], Any, depth),
            _ => {
                let (operator, kind) = (self.pick(ORDER), [Int, Double, Text][self.random.usize(..3)]);
                format!("({} {operator} {})", self.draw(Any, depth), self.draw(kind, depth))
            }
        }
    }

    fn int(&mut self, depth: u32) -> String {
        match self.random.u8(..10) {
            0..=2 => self.infix(&["+", "-", "*", "/", "%"], Int, depth),
            3 => {
                let kind = [Numbers, Names, Text, Labels][self.random.usize(..4)];
                format!("size({})", self.draw(kind, depth))
            }
            4 => {
                let kind = [Double, Uint, Text, Timestamp, Duration][self.random.usize(..5)];
                format!("int({})", self.draw(kind, depth))
            }
            5 => {
                let part = self.pick(&[
                    "getFullYear",
                    "getMonth",
                    "getDate",
                    "getDayOfMonth",
                    "getDayOfWeek",
                    "getDayOfYear",
                    "getHours",
                    "getMinutes",
                    "getSeconds",
                    "getMilliseconds",
                ]);
                let zone = self.pick(&["", "'+02:00'", "'-05:30'", "'UTC'"]);
                format!("{}.{part}({zone})", self.draw(Timestamp, depth))
            }
            6 => {
                let part = self.pick(&["getHours", "getMinutes", "getSeconds", "getMilliseconds"]);
                format!("{}.{part}()", self.draw(Duration, depth))
            }
            7 => format!("{}[{}]", self.draw(Numbers, depth), self.draw(Int, depth)),
            8 => format!("labels.{}", self.pick(&["a", "k"])),
            _ => format!("-{}", self.leaf(Int)),
        }
    }

    fn infix(&mut self, operators: &[&str], kind: Kind, depth: u32) -> String {
        let operator = self.pick(operators);
        format!("({} {operator} {})", self.draw(kind, depth), self.draw(kind, depth))
    }

    fn choice(&mut self, kind: Kind, depth: u32) -> String {
        format!("({} ? {} : {})", self.draw(Bool, depth), self.draw(kind, depth), self.draw(kind, depth))
    }

    fn numbers_or_leaf(&mut self, depth: u32) -> String {
        self.draw(Numbers, depth)
    }

    fn each(&mut self, range: Kind, name: &str, of: Kind, depth: u32) -> String {
        let range = self.draw(range, depth);
        self.macro_call(&range, name, of, depth)
    }

    fn macro_call(&mut self, range: &str, name: &str, of: Kind, depth: u32) -> String {
        if self.bound == 2 {
            return self.leaf(if name == "map" || name == "filter" { Numbers } else { Bool });
        }
        let variable = format!("e{}", self.bound);
        self.bound += 1;
        let body = self.draw(of, depth);
        self.bound -= 1;
        format!("{range}.{name}({variable}, {body})")
    }

    fn leaf(&mut self, kind: Kind) -> String {
        if kind == Int && self.bound > 0 && self.random.bool() {
            return format!("e{}", self.random.usize(..self.bound));
        }
        let of: &[&str] = match kind {
            Bool => &["b", "true", "false", "b", "b"],
            Int => &["i", "j", "0", "1", "2", "-3", "7", "9223372036854775807", "i", "j"],
            Uint => &["u", "0u", "1u", "5u", "u"],
            Double => &["d", "0.0", "1.5", "-2.25", "1e10", "d", "d"],
            Text => &["s", "t", "'a'", "'abc'", "''", "'1'", "'é'", "s", "t"],
            Duration => &["span", "duration('1h')", "duration('-90s')", "duration('1.5s')", "span"],
            Timestamp => &["at", "timestamp('2026-01-31T12:00:00Z')", "timestamp('1999-12-31T23:59:59.25Z')", "at"],
            Ip => &["ip", "ipaddress('10.1.2.3')", "ipaddress('::1')", "ip"],
            Numbers => &["numbers", "[1, 2, 3]", "[0]", "numbers"],
            Names => &["names", "['a', 'b']", "names"],
            Labels => &["labels", "{'k': 1}", "labels"],
            Any => &["a", "dyn(i)", "dyn(1.0)", "dyn('a')", "a.k", "a[0]", "a"],
        };
        self.pick(of).to_owned()
    }

    /// Values for these parameters; now and then one that is refused.
    pub(crate) fn values(&mut self, parameters: &[(&str, &str)]) -> Map<String, Value> {
        parameters
            .iter()
            .map(|(name, kind)| {
                let wrong = self.random.u8(..40) == 0;
                let kind = if wrong { PARAMETERS[self.random.usize(..PARAMETERS.len())].1 } else { kind };
                ((*name).to_owned(), self.value(kind))
            })
            .collect()
    }

    fn value(&mut self, kind: &str) -> Value {
        let from = match kind {
            "bool" => json!([true, false]),
            "string" => json!(["", "a", "abc", "x1", "12", "äé", "aab"]),
            "int" => json!([0, 1, -1, 3, "7", 100, -9, "9007199254740993", 4.0]),
            "uint" => json!([0, 1, 5, "12", 1000]),
            "double" => json!([0, 1.5, -2.25, 0.1, 1e15, 3, "2.5", 1e-7]),
            "duration" => json!(["0s", "1h30m", "-5s", "250ms", "1.5h", "2000000h"]),
            "timestamp" => json!([
                "2026-01-31T12:00:00Z",
                "2024-02-29T23:59:59.999Z",
                "1970-01-01T00:00:00Z",
                "9999-12-31T23:59:59Z"
            ]),
            "ipaddress" => json!(["10.1.2.3", "192.168.0.1", "2001:db8::1", "::ffff:10.0.0.1"]),
            "list<int>" => json!([[], [1], [1, 2, 3], [0, -1, "5"], [7, 7]]),
            "list<string>" => json!([[], ["a"], ["abc", "b", ""], ["1", "1"]]),
            "map<int>" => json!([{}, {"a": 1}, {"a": 0, "k": 5}, {"k": "9"}]),
            _ => json!([1, 1.5, "a", "abc", true, null, [1, 2], {"k": 1}, {"k": {"a": "b"}, "a": []}, []]),
        };
        from[self.random.usize(..from.as_array().map_or(1, Vec::len))].clone()
    }
}
