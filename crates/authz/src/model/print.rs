//! Writes a model in the DSL: two spaces for each level, an empty line between types, parentheses only where they are needed.

use std::fmt::{self, Write};

use super::{ConditionDefinition, Model, Module, RelationDefinition, Restriction, RestrictionTarget, Rewrite};

impl Model {
    /// The model in the DSL. What [`Model::from_dsl`] makes of it equals this model but for its places and its modules, which are
    /// named in comments.
    ///
    /// JSON can carry what the DSL has no notation for: names that hold brackets or are called like an operator, a list of who may
    /// be written directly into a relation that has no direct part, an expression with a string or a brace that nothing closes.
    /// Such a model is printed as far as can be.
    #[must_use]
    pub fn to_dsl(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "model\n  schema {}", self.schema_version.as_str())?;
        for definition in &self.types {
            write!(f, "\ntype {}", definition.name)?;
            end_line(" #", definition.module.as_ref(), f)?;
            if !definition.relations.is_empty() {
                writeln!(f, "  relations")?;
            }
            for relation in &definition.relations {
                write!(f, "    {relation}")?;
                end_line(" # extended by:", relation.module.as_ref(), f)?;
            }
        }
        for condition in &self.conditions {
            write!(f, "\n{condition}")?;
            end_line(" #", condition.module.as_ref(), f)?;
        }
        Ok(())
    }
}

/// Ends a line, with a comment where something comes from a module.
fn end_line(comment: &str, module: Option<&Module>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if let Some(Module { name, file }) = module {
        write!(f, "{comment} module: {name}")?;
        if let Some(file) = file {
            // A name of a file comes from outside, and must stay in its comment.
            write!(f, ", file: {}", file.escape_debug())?;
        }
    }
    f.write_char('\n')
}

impl fmt::Display for ConditionDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "condition {}(", self.name)?;
        for (index, parameter) in self.parameters.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{}: {}", parameter.name, parameter.kind)?;
        }
        write!(f, ") {{\n  {}\n}}", self.expression)
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
            RestrictionTarget::Object => {}
            RestrictionTarget::Userset(relation) => write!(f, "#{relation}")?,
            RestrictionTarget::Wildcard => f.write_str(":*")?,
        }
        match &self.condition {
            Some(condition) => write!(f, " with {condition}"),
            None => Ok(()),
        }
    }
}
