//! The route map: which question a method and a path stand for.
//!
//! The path decides first, and the most specific template wins: text before a placeholder, a placeholder before a catch-all, whatever their
//! order in the configuration. Only then the method is looked up, so that a catch-all never takes what a more specific route refuses. Nor
//! does it take what an application that knows neither case nor a slash at the end would serve as a path of a more specific route.

use std::collections::BTreeMap;

use authz::relation::{Text, check_relation};
use authz::store::StoreId;
use matchit::{InsertError, Router};
use ulid::Ulid;

use super::refusal::Refusal;
use super::target::Target;
use super::template::{PathTemplate, ResourceTemplate};
use crate::config;

/// The methods that a route may name. Any other one is denied.
pub(super) const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// The longest part of a path in a message.
const MAX_SHOWN_CHARS: usize = 80;
/// The most routes.
const MAX_ROUTES: usize = 10_000;

/// What a route asks.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    /// Nothing: everybody may.
    Nobody,
    /// The decision point.
    Decision(Box<Asked>),
}

#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) store: Option<StoreId>,
    pub(super) relation: Text,
    pub(super) resource: ResourceTemplate,
}

/// All routes.
pub(super) struct Table {
    /// Places in `places`, by template.
    router: Router<usize>,
    places: Vec<Place>,
    /// Places in `places`, by the text of their template.
    known: BTreeMap<String, usize>,
    /// The places whose templates are the same without case and slashes at the end.
    folded: Router<Vec<usize>>,
}

/// A template with what its methods ask.
struct Place {
    template: PathTemplate,
    asks: Vec<Entry>,
}

struct Entry {
    method: &'static str,
    ask: Ask,
    /// Its number in the configuration, from 1.
    number: usize,
}

impl Table {
    /// The table, with every fault of the configuration, one line each. A route with a fault is left out.
    pub(super) fn new(routes: &[config::Route]) -> (Self, Vec<String>) {
        let mut table =
            Self { router: Router::new(), places: Vec::new(), known: BTreeMap::new(), folded: Router::new() };
        let mut faults = Vec::new();
        if routes.len() > MAX_ROUTES {
            faults.push(format!("there are {} routes; at most {MAX_ROUTES} are allowed", routes.len()));
        }
        for (number, route) in (1..).zip(routes.iter().take(MAX_ROUTES)) {
            let before = faults.len();
            let said = table.add(number, route, &mut faults);
            faults.extend(said.err());
            for fault in &mut faults[before..] {
                *fault = format!("{}: {fault}", name(number, &route.path));
            }
        }
        table.fold(&mut faults);
        (table, faults)
    }

    fn add(&mut self, number: usize, route: &config::Route, faults: &mut Vec<String>) -> Result<(), String> {
        let methods = methods(&route.methods, faults);
        let template = PathTemplate::parse(&route.path).map_err(|fault| fault.to_string())?;
        let ask = ask(route, &template)?;
        let place = self.place(template)?;
        for method in methods {
            if let Some(other) = place.asks.iter().find(|entry| entry.method == method) {
                let other = other.number;
                return Err(format!("{method} of this path is already route {other}; remove one of the two"));
            }
            place.asks.push(Entry { method, ask: ask.clone(), number });
        }
        Ok(())
    }

    /// The place of a template, which is a new one unless the same template was there before.
    fn place(&mut self, template: PathTemplate) -> Result<&mut Place, String> {
        let at = match self.known.get(&template.text) {
            Some(at) => *at,
            None => {
                let at = self.places.len();
                self.router.insert(template.text.clone(), at).map_err(|error| self.conflict(&error))?;
                self.known.insert(template.text.clone(), at);
                self.places.push(Place { template, asks: Vec::new() });
                at
            }
        };
        self.places.get_mut(at).ok_or_else(|| "there is no place for it".to_owned())
    }

    fn conflict(&self, error: &InsertError) -> String {
        match error {
            InsertError::Conflict { with } => {
                let other = self.known.get(with).and_then(|at| self.places.get(*at));
                let other = other.map_or_else(|| with.clone(), Place::name);
                format!(
                    "it matches the same paths as {other}; give their placeholders the same names, \
                     and have either a placeholder or a catch-all in one place"
                )
            }
            other => format!("the path can't be read: {other}"),
        }
    }

    fn fold(&mut self, faults: &mut Vec<String>) {
        let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, place) in self.places.iter().enumerate() {
            groups.entry(place.template.plain().to_lowercase()).or_default().push(at);
        }
        for (text, group) in groups {
            let mut places = group.iter().filter_map(|at| self.places.get(*at));
            let Some(first) = places.next() else { continue };
            let differing = places.find(|place| place.template.plain() != first.template.plain());
            let refused = self.folded.insert(text, group.clone()).is_err().then_some(first);
            if let Some(place) = differing.or(refused) {
                faults.push(format!(
                    "{}: another route matches the same paths but for their case, which applications may not tell apart; \
                     keep one spelling",
                    place.name()
                ));
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// What a request asks, and how to read its placeholders.
    pub(super) fn find<'t, 'p>(
        &'t self,
        method: &[u8],
        target: &'p Target,
    ) -> Result<(&'t Ask, matchit::Params<'t, 'p>), Refusal> {
        let found = self.router.at(target.as_str()).map_err(|_| Refusal::NoRoute)?;
        let place = self.places.get(*found.value).ok_or(Refusal::NoRoute)?;
        if !place.is_fixed() && self.folded.at(&target.folded()).is_ok_and(|group| !group.value.contains(found.value)) {
            return Err(Refusal::Shadowed);
        }
        let entry = place.asks.iter().find(|entry| entry.method.as_bytes() == method).ok_or(Refusal::Method)?;
        Ok((&entry.ask, found.params))
    }
}

impl Place {
    /// Whether it is one path, spelled out by the operator.
    fn is_fixed(&self) -> bool {
        self.template.names.is_empty()
    }

    fn name(&self) -> String {
        name(self.asks.first().map_or(0, |entry| entry.number), &self.template.text)
    }
}

/// A route as an operator finds it.
fn name(number: usize, path: &str) -> String {
    let cut: String = path.chars().take(MAX_SHOWN_CHARS).collect();
    let mark = if cut.len() < path.len() { "…" } else { "" };
    format!("route {number} ({cut}{mark})")
}

fn methods(named: &[String], faults: &mut Vec<String>) -> Vec<&'static str> {
    if named.is_empty() {
        faults.push(format!("methods is empty; name some of {}", METHODS.join(", ")));
    }
    let mut methods = Vec::new();
    for name in named {
        match METHODS.into_iter().find(|method| method == name) {
            Some(method) if methods.contains(&method) => {
                faults.push(format!("methods holds {method} twice; remove one"))
            }
            Some(method) => methods.push(method),
            None => faults.push(format!("methods holds {name:?}; allowed are {}", METHODS.join(", "))),
        }
    }
    methods
}

fn ask(route: &config::Route, path: &PathTemplate) -> Result<Ask, String> {
    if route.public {
        return match (&route.action, &route.resource, &route.store) {
            (None, None, None) => Ok(Ask::Nobody),
            _ => Err("a public route asks nothing; remove action, resource and store, or public".to_owned()),
        };
    }
    let (Some(action), Some(resource)) = (&route.action, &route.resource) else {
        return Err("action or resource is missing; set both, or public = true for everybody".to_owned());
    };
    let relation = check_relation(action).map_err(|error| format!("action: {error}"))?;
    let resource = ResourceTemplate::parse(resource, path).map_err(|fault| fault.to_string())?;
    let store = match &route.store {
        None => None,
        Some(id) => Some(StoreId(
            id.parse::<Ulid>().map_err(|_| format!("store is {id:?}, which is no store's id; it has 26 characters"))?,
        )),
    };
    Ok(Ask::Decision(Box::new(Asked { store, relation, resource })))
}
