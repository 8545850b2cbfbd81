//! Writes a model in the DSL: two spaces for each level, an empty line between types, parentheses only where they are needed.

use std::fmt::{self, Write};

use super::{Model, RelationDefinition, Restriction, RestrictionTarget, Rewrite};

impl Model {
    /// The model in the DSL. What [`Model::from_dsl`] makes of it equals this model but for its places.
    ///
    /// JSON can carry what the DSL has no notation for: names that hold brackets or are called like an operator, and a list of
    /// who may be written directly into a relation that has no direct part. Such a model is printed as far as can be.
    #[must_use]
    pub fn to_dsl(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "model\n  schema {}", self.schema_version.as_str())?;
        for definition in &self.types {
            writeln!(f, "\ntype {}", definition.name)?;
            if !definition.relations.is_empty() {
                writeln!(f, "  relations")?;
            }
            for relation in &definition.relations {
                writeln!(f, "    {relation}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for RelationDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "define {}: ", self.name)?;
        self.rewrite(&self.rewrite, f)
    }
}

impl RelationDefinition {
    fn rewrite(&self, rewrite: &Rewrite, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match rewrite {
            Rewrite::Direct => {
                f.write_char('[')?;
                for (index, restriction) in self.restrictions.iter().enumerate() {
                    write!(f, "{}{restriction}", if index == 0 { "" } else { ", " })?;
                }
                f.write_char(']')
            }
            Rewrite::Computed { relation } => f.write_str(relation),
            Rewrite::TupleToUserset { tupleset, computed } => write!(f, "{computed} from {tupleset}"),
            Rewrite::Union(operands) => self.joined(operands.iter(), " or ", f),
            Rewrite::Intersection(operands) => self.joined(operands.iter(), " and ", f),
            Rewrite::Exclusion { base, subtract } => self.joined([&**base, &**subtract].into_iter(), " but not ", f),
        }
    }

    fn joined<'r>(
        &self,
        operands: impl Iterator<Item = &'r Rewrite>,
        operator: &str,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        for (index, operand) in operands.enumerate() {
            if index > 0 {
                f.write_str(operator)?;
            }
            match operand {
                Rewrite::Direct | Rewrite::Computed { .. } | Rewrite::TupleToUserset { .. } => {
                    self.rewrite(operand, f)?
                }
                Rewrite::Union(_) | Rewrite::Intersection(_) | Rewrite::Exclusion { .. } => {
                    f.write_char('(')?;
                    self.rewrite(operand, f)?;
                    f.write_char(')')?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Restriction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.type_name)?;
        match &self.target {
            RestrictionTarget::Object => Ok(()),
            RestrictionTarget::Userset(relation) => write!(f, "#{relation}"),
            RestrictionTarget::Wildcard => f.write_str(":*"),
        }
    }
}
