//! Where in a JSON document a fault is: `type_definitions[1].relations.viewer.union.child[0]`.

use std::fmt;

/// A place in a JSON document, as a chain that is written out only where a fault needs it.
#[derive(Clone, Copy)]
pub(in crate::model) struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Root,
    Key(&'p str),
    Index(usize),
}

impl<'p> Path<'p> {
    /// The document itself.
    pub(in crate::model) const ROOT: Path<'static> = Path { parent: None, step: Step::Root };

    /// A member of an object.
    pub(in crate::model) fn key(&'p self, key: &'p str) -> Path<'p> {
        Path { parent: Some(self), step: Step::Key(key) }
    }

    /// An element of an array.
    pub(in crate::model) fn index(&'p self, index: usize) -> Path<'p> {
        Path { parent: Some(self), step: Step::Index(index) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parent = self.parent.filter(|parent| !matches!(parent.step, Step::Root));
        if let Some(parent) = parent {
            fmt::Display::fmt(parent, f)?;
        }
        match self.step {
            Step::Root => f.write_str("the model"),
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Key(key) => {
                if parent.is_some() {
                    f.write_str(".")?;
                }
                // A key comes from outside: bounded, and on one line.
                for c in key.chars().take(64) {
                    write!(f, "{}", c.escape_debug())?;
                }
                Ok(())
            }
        }
    }
}
