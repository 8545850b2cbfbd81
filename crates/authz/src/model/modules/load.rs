//! Models from files: one in the DSL, one as JSON, or a modular one by its `fga.mod`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::manifest;
use crate::model::bounds::{MAX_DSL_BYTES, MAX_JSON_BYTES, MAX_MANIFEST_BYTES};
use crate::model::error::{ModelError, ModelErrorKind};
use crate::model::{Model, ModelErrors};
use crate::relation::Text;

impl Model {
    /// Reads a model from a file: `.mod` is the list of a modular model's files, `.json` its JSON, and any other ending the DSL,
    /// unless the text begins with a brace, which is JSON too.
    ///
    /// The files of a modular model lie in the folder of its `fga.mod` or below; also a symbolic link doesn't lead out of it.
    ///
    /// # Errors
    /// As [`Model::from_dsl`], [`Model::from_json`] and [`Model::from_modules`], and where a file can't be read.
    pub fn load(path: &Path) -> Result<Self, ModelErrors> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("mod") => load_modules(path),
            Some("json") => Self::from_json(&text(path, MAX_JSON_BYTES, None)?),
            _ => {
                let text = text(path, MAX_JSON_BYTES, None)?;
                if text.trim_start().starts_with('{') { Self::from_json(&text) } else { Self::from_dsl(&text) }
            }
        }
    }
}

fn load_modules(path: &Path) -> Result<Model, ModelErrors> {
    let called = Text::from(path.file_name().map_or_else(|| "fga.mod".into(), |name| name.to_string_lossy()));
    let files = manifest::read(&text(path, MAX_MANIFEST_BYTES, Some(&called))?, &called)?;
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let real = |path: &Path, called: &Text| {
        path.canonicalize().map_err(|error| {
            fault(format!("the file can't be read: {error}"), "check the path and who may read it", Some(called))
        })
    };
    let within = real(folder, &called)?;
    let mut parts = Vec::with_capacity(files.len());
    let mut bytes = 0;
    for name in files {
        let real = real(&folder.join(&*name), &name)?;
        if !real.starts_with(&within) {
            let what = "the file lies outside of the folder of `fga.mod`".to_owned();
            return Err(fault(what, "move it there, instead of a link to it", Some(&name)).into());
        }
        // Whoever lists many large files learns so before all of them are in memory.
        let text = text(&real, MAX_DSL_BYTES, Some(&name))?;
        bytes += text.len();
        parts.push((name, text));
        if bytes > MAX_DSL_BYTES {
            break;
        }
    }
    Model::from_modules(parts)
}

fn text(path: &Path, max: usize, called: Option<&Text>) -> Result<String, ModelError> {
    bounded_text(path, max).map_err(|(what, remedy)| fault(what, remedy, called))
}

fn fault(what: String, remedy: &str, called: Option<&Text>) -> ModelError {
    ModelError::new(ModelErrorKind::File, what, remedy).in_file(called)
}

/// The text of a file of at most so many bytes; or why there is none, and what to do.
pub(crate) fn bounded_text(path: &Path, max: usize) -> Result<String, (String, &'static str)> {
    let cannot =
        |error: std::io::Error| (format!("the file can't be read: {error}"), "check the path and who may read it");
    // Asked before it is opened, because opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(cannot)?.is_file() {
        return Err(("this is no file".to_owned(), "name a file"));
    }
    let mut bytes = Vec::new();
    let most = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path).map_err(cannot)?.take(most).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() > max {
        return Err((format!("the file is larger than {max} bytes"), "split it into several files"));
    }
    String::from_utf8(bytes).map_err(|error| (format!("the file is not UTF-8: {error}"), "save it as UTF-8"))
}
