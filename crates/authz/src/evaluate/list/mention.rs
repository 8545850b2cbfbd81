//! Who is named in a list. Where everybody is in, naming everybody would be no list. So a subject is listed where it is in *and* a relationship that makes it so
//! mentions it: written itself; for a union or an intersection in any of the branches; for an exclusion in the base, or as an exception from what is
//! taken away. It is an *exception* of a relation where it is out and was mentioned in what is taken away, or is an exception of a branch. So whoever is in
//! while everybody is not, or out while everybody is in, is mentioned: nobody is in and left out of the list, unless `type:*` is in it. Wildcards and usersets
//! are in only where they are written, or are the userset itself.

use super::bits::Bits;
use super::membership::{Queue, Sides, Values};
use super::users::Expr;
use crate::evaluate::TooComplex;
use crate::relation::Subject;

/// Who is mentioned, of those that are in and of those that are out.
#[derive(Clone, PartialEq, Eq)]
struct Mentions {
    members: Bits,
    exceptions: Bits,
}

impl Values<'_, '_> {
    /// Who is mentioned at the root, where what is unknown is taken for `unknown_is_in`.
    pub(super) fn mentioned(&mut self, unknown_is_in: bool) -> Result<Bits, TooComplex> {
        let (search, size) = (self.search, self.subjects.len());
        let nobody = Mentions { members: Bits::none(size), exceptions: Bits::none(size) };
        let mut nodes = vec![nobody.clone(); search.nodes.len()];
        let mut queue = Queue::new(search.nodes.len());
        while let Some(at) = queue.take() {
            let mut found = match &search.nodes[at as usize].expr {
                Some(expr) => self.mentions(expr, &nodes, unknown_is_in)?.1,
                None => nobody.clone(),
            };
            if let (Some(own), Some(_)) = (self.own[at as usize], &search.nodes[at as usize].expr) {
                found.members.insert(own);
            }
            if found != nodes[at as usize] {
                nodes[at as usize] = found;
                queue.add(&search.nodes[at as usize].parents);
            }
        }
        Ok(nodes.into_iter().next().map_or_else(|| Bits::none(size), |root| root.members))
    }

    /// Who is in by an expression and who is out, and who of both is mentioned.
    fn mentions(
        &mut self,
        expr: &Expr,
        nodes: &[Mentions],
        unknown_is_in: bool,
    ) -> Result<(Sides, Mentions), TooComplex> {
        let (search, size) = (self.search, self.subjects.len());
        let mut found = Mentions { members: Bits::none(size), exceptions: Bits::none(size) };
        let sides = match expr {
            Expr::Any(parts) | Expr::All(parts) => {
                let mut all = Vec::with_capacity(parts.len());
                for part in parts {
                    let (sides, Mentions { members, exceptions }) = self.mentions(part, nodes, unknown_is_in)?;
                    found.members.add(&members);
                    found.exceptions.add(&exceptions);
                    all.push(sides);
                }
                self.count(1)?;
                if matches!(expr, Expr::Any(_)) { Sides::any(all, size) } else { Sides::all(all, size) }
            }
            Expr::Minus(base, subtract) => {
                let (base, of_base) = self.mentions(base, nodes, unknown_is_in)?;
                let (subtract, of_subtract) = self.mentions(subtract, nodes, unknown_is_in)?;
                self.count(1)?;
                found.members.add(&of_base.members);
                found.members.add(&of_subtract.exceptions);
                found.exceptions.add(&of_base.exceptions);
                found.exceptions.add(&of_subtract.members);
                base.minus(&subtract)
            }
            Expr::Nobody | Expr::Members { .. } | Expr::Everybody { .. } | Expr::Way(_) | Expr::Node(_) => {
                self.sides(expr)?
            }
        };
        match expr {
            Expr::Members { .. } => found.members = Bits::all(size),
            Expr::Everybody { type_name, .. } => {
                let everybody = Subject::Wildcard { type_name: type_name.clone() };
                if let Some(number) = self.numbers.get(&everybody) {
                    found.members.insert(*number);
                }
            }
            Expr::Way(way) => {
                let way = &search.ways[*way as usize];
                self.count(way.children.len() + way.unknown.len())?;
                for child in way.children.iter().chain(&way.unknown) {
                    found.members.add(&nodes[*child as usize].members);
                    found.exceptions.add(&nodes[*child as usize].exceptions);
                }
                self.written(way).for_each(|(own, _)| found.members.insert(own));
            }
            Expr::Node(child) => found = nodes[*child as usize].clone(),
            Expr::Nobody | Expr::Any(_) | Expr::All(_) | Expr::Minus(..) => {}
        }
        // Only who is mentioned takes the unknown for in. The sides stay as they are: an exclusion turns them around.
        if unknown_is_in {
            found.members.take(&sides.is_out);
        } else {
            found.members.keep(&sides.is_in);
        }
        found.exceptions.take(&sides.is_in);
        Ok((sides, found))
    }
}
