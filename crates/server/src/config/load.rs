//! Reads the sources in their order and makes one value of them.

use std::path::{Path, PathBuf};

use figment::error::Kind;
use figment::providers::{Env, Format, Serialized, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::keys::{self, Known, leaves};
use super::{ConfigError, Settings, validate};

/// The file that is read where no other one is named.
pub const CONFIG_FILE: &str = "tiergate.toml";
/// What the names of our environment variables begin with; `__` stands for the dot between two levels.
pub const ENV_PREFIX: &str = "TIERGATE_";
/// The variable that names the file, as `--config` does.
const CONFIG_VARIABLE: &str = "TIERGATE_CONFIG";

/// Where settings are taken from, besides the environment.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A file that must exist. Without it, `tiergate.toml` in the working directory if there is one.
    pub file: Option<PathBuf>,
    /// Flags, later ones over earlier ones.
    pub flags: Vec<Flag>,
}

/// One setting that was given as a flag.
#[derive(Clone, Debug, PartialEq)]
pub struct Flag {
    /// The flag as it is typed: `--port`.
    pub flag: &'static str,
    /// The setting: `http.port`.
    pub key: String,
    /// Its value, read as one of the environment is: a number, a boolean, or else text.
    pub value: String,
    /// Whether the value is text whatever it looks like.
    pub is_text: bool,
}

/// A configuration that was read and checked.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    figment: Figment,
}

impl Sources {
    /// Reads and checks everything.
    ///
    /// # Errors
    /// With every fault that could be found: unknown keys, values of another type, values that are not allowed.
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        let mut figment = Figment::from(Serialized::defaults(Settings::default()));
        let known = Known::of(&defaults());
        let mut faults = Vec::new();

        if let Some(path) = self.file()? {
            let file = Toml::file_exact(&path);
            faults.extend(known.faults(&read(&file, &shown(&path))?, &|key| format!("{key} in {}", path.display())));
            figment = figment.merge(file);
        }
        let escaped = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            let name = name.into_string().ok()?;
            let key = name.get(..ENV_PREFIX.len()).filter(|start| start.eq_ignore_ascii_case(ENV_PREFIX));
            let key = key.and_then(|start| name.strip_prefix(start))?;
            if is_for_tests(key) || is_secret_variable(key) {
                return None;
            }
            is_escaped_beyond_ascii(value.to_str()?).then_some(name)
        };
        faults.extend(std::env::vars_os().filter_map(escaped).map(|name| unreadable(&name)));
        faults.extend(self.flags.iter().filter(|flag| flag.is_unreadable()).map(|flag| unreadable(flag.flag)));
        ConfigError::check(std::mem::take(&mut faults))?;
        let environment = Env::prefixed(ENV_PREFIX)
            .ignore(&["config"])
            .filter(|key| {
                !is_service_link(key.as_str()) && !is_for_tests(key.as_str()) && !is_secret_variable(key.as_str())
            })
            .split("__")
            .lowercase(true);
        faults.extend(known.faults(&read(&environment, "the environment")?, &keys::variable));
        figment = figment.merge(environment).merge(SecretVariables);
        for flag in &self.flags {
            faults.extend(known.faults(&read(flag, flag.flag)?, &|key| format!("{key} of {}", flag.flag)));
            figment = figment.merge(flag);
        }
        ConfigError::check(faults)?;

        let settings: Settings = figment.extract().map_err(|error| wrong_types(&error, "the configuration"))?;
        let loaded = Loaded { settings, figment };
        ConfigError::check(validate::faults(&loaded))?;
        Ok(loaded)
    }

    fn file(&self) -> Result<Option<PathBuf>, ConfigError> {
        let named = self.file.clone().or_else(|| std::env::var_os(CONFIG_VARIABLE).map(PathBuf::from));
        match named {
            None => Ok(Some(PathBuf::from(CONFIG_FILE)).filter(|path| path.is_file())),
            Some(path) if path.is_file() => Ok(Some(path)),
            Some(path) => {
                let path = path.display();
                Err(ConfigError::one(format!(
                    "there is no configuration file {path}; check --config and {CONFIG_VARIABLE}"
                )))
            }
        }
    }
}

impl Loaded {
    /// Where a setting's value comes from, as an operator would look for it.
    pub(super) fn origin(&self, key: &str) -> String {
        self.figment.find_metadata(key).map_or_else(|| "default".to_owned(), |metadata| origin(metadata, key))
    }
}

/// The secrets of the environment once more, as the text that they are: one of digits alone would be read as a number, and lose its zeros.
struct SecretVariables;

impl Provider for SecretVariables {
    fn metadata(&self) -> Metadata {
        Metadata::named("environment variables that are secret")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut found = Dict::new();
        for key in keys::SECRET {
            let name = keys::variable(key);
            // In any case of letters, as for the others.
            let value = std::env::vars_os().find(|(variable, _)| variable.eq_ignore_ascii_case(&name));
            if let Some(text) = value.and_then(|(_, value)| value.into_string().ok()) {
                let nested = figment::util::nest(key, as_text(&text)).into_dict().unwrap_or_default();
                for (group, value) in nested {
                    match (found.get_mut(&group), value) {
                        (Some(Value::Dict(_, there)), Value::Dict(_, more)) => there.extend(more),
                        (_, value) => drop(found.insert(group, value)),
                    }
                }
            }
        }
        Ok(Profile::Default.collect(found))
    }
}

impl Flag {
    fn is_unreadable(&self) -> bool {
        !self.is_text && !keys::SECRET.contains(&&*self.key) && is_escaped_beyond_ascii(&self.value)
    }
}

impl Provider for Flag {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.flag)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let value = if keys::SECRET.contains(&&*self.key) {
            as_text(&self.value)
        } else if self.is_text {
            Value::from(self.value.as_str())
        } else {
            self.value.parse::<Value>().unwrap_or_else(|_| Value::from(self.value.as_str()))
        };
        Serialized::global(&self.key, value).data()
    }
}

/// The defaults as a tree of keys.
pub(super) fn defaults() -> Dict {
    read(&Serialized::defaults(Settings::default()), "the defaults").unwrap_or_default()
}

fn read(provider: &impl Provider, source: &str) -> Result<Dict, ConfigError> {
    let data = provider.data().map_err(|error| wrong_types(&error, source))?;
    Ok(data.into_values().fold(Dict::new(), |mut all, dict| {
        all.extend(dict);
        all
    }))
}

fn origin(metadata: &Metadata, key: &str) -> String {
    match metadata.source.as_ref().and_then(figment::Source::file_path) {
        Some(path) => shown(path),
        None if metadata.name.starts_with("--") => metadata.name.to_string(),
        None if metadata.name.contains("environment") => keys::variable(key),
        None => "default".to_owned(),
    }
}

/// A path as somebody in the working directory would type it.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}

/// Whether a variable is one that Kubernetes sets for a service called like us. Nobody wrote it, and a real setting has `__` in it.
fn is_service_link(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let is_address = || {
        #[expect(clippy::disallowed_methods, reason = "this is the server's configuration")]
        let value = std::env::var(format!("{ENV_PREFIX}PORT")).unwrap_or_default();
        value.starts_with("tcp://") || value.starts_with("udp://")
    };
    key == "service_host"
        || key.starts_with("service_port")
        || (key.starts_with("port_") && ["_tcp", "_udp"].iter().any(|protocol| key.contains(protocol)))
        || (key == "port" && is_address())
}

/// Whether a variable is one that tests read, which somebody who runs both has in the same shell.
fn is_for_tests(key: &str) -> bool {
    key.to_ascii_lowercase().starts_with("test_")
}

/// A key with its places in lists counted as people do: `gateway.routes number 2, path`.
fn in_lists(path: &[String]) -> String {
    let mut text = String::new();
    for (at, part) in path.iter().enumerate() {
        let is_counted = |part: &String| part.parse::<usize>().is_ok();
        match part.parse::<usize>() {
            Ok(index) => text.push_str(&format!(" number {}", index.saturating_add(1))),
            Err(_) if at == 0 => text.push_str(part),
            Err(_) if path.get(at - 1).is_some_and(is_counted) => text.push_str(&format!(", {part}")),
            Err(_) => text.push_str(&format!(".{part}")),
        }
    }
    text
}

/// What a setting takes, for people. Types of Rust are none of their business.
fn in_words(expected: &str, key: &str) -> String {
    match expected {
        "u8" | "u16" => "a whole number from 0 to 65535".to_owned(),
        "u32" | "u64" | "usize" => "a whole number, without a unit".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "enum Demo" => "auto, on or off".to_owned(),
        "enum Rollout" => "baseline, l1, l2, warming or all".to_owned(),
        "a sequence" if key == "gateway.routes" => "a table for each route, [[gateway.routes]]".to_owned(),
        "a sequence" => "a list in brackets, as [\"one\", \"two\"]".to_owned(),
        "path string" | "a string" => "text in quotes".to_owned(),
        table if table.starts_with("struct ") => {
            let defaults = defaults();
            let mut inside = leaves(&defaults).into_iter().map(|(known, _)| known);
            match inside.find(|known| known.starts_with(&format!("{key}."))) {
                Some(known) => format!("none; it is a group of settings, such as {known} ({})", keys::variable(&known)),
                None => "none; it is a group of settings".to_owned(),
            }
        }
        other => other.to_owned(),
    }
}

/// Text, whatever it looks like; in quotes or without.
fn as_text(given: &str) -> Value {
    let quoted = ['"', '\''].into_iter().find_map(|quote| given.strip_prefix(quote)?.strip_suffix(quote));
    Value::from(quoted.filter(|inside| !inside.contains('\\')).unwrap_or(given))
}

/// Whether a value has an escape in quotes beside letters beyond ASCII: whoever reads the values of variables and flags can't read that.
fn is_escaped_beyond_ascii(value: &str) -> bool {
    value.contains('"') && value.contains('\\') && !value.is_ascii()
}

fn unreadable(place: &str) -> String {
    format!(
        "{place} has a backslash in quotes, and letters beyond ASCII; leave the quotes away, or set it in {CONFIG_FILE}"
    )
}

/// Whether a variable is a secret, which is read as the text that it is.
fn is_secret_variable(key: &str) -> bool {
    keys::SECRET.contains(&&*key.to_ascii_lowercase().replace("__", "."))
}

/// What is wrong with a file, and in which line, without the line itself: it may hold a secret.
fn without_excerpt(text: &str) -> String {
    let is_excerpt =
        |line: &str| line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit()).trim_start().starts_with('|');
    let lines: Vec<&str> =
        text.lines().filter(|line| !is_excerpt(line)).map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join(": ")
}

/// One line for each value that is of another type. `source` stands for what has no place of its own.
fn wrong_types(error: &figment::Error, source: &str) -> ConfigError {
    let faults = error.clone().into_iter().map(|error| {
        let key = error.path.join(".");
        let place = match (&error.metadata, key.is_empty()) {
            (Some(metadata), false) => format!("{} ({})", in_lists(&error.path), origin(metadata, &key)),
            (None, false) => in_lists(&error.path),
            (_, true) => source.to_owned(),
        };
        match &error.kind {
            Kind::UnknownField(field, allowed) => match keys::nearest(field, allowed) {
                Some(near) => format!("{place} is no setting; did you mean {near}?"),
                None => format!("{place} is no setting; there are {}", allowed.join(", ")),
            },
            Kind::MissingField(field) => format!("{place} has no {field}; add it"),
            Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected)
                if !key.is_empty() && keys::is_secret(&key) =>
            {
                format!("{place} is of another type; allowed is {}", in_words(expected, &key))
            }
            Kind::Message(text) => format!("{place}: {}", without_excerpt(text)),
            Kind::UnknownVariant(value, allowed) => format!("{place} is {value}; allowed is {}", allowed.join(", ")),
            Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
                format!("{place} is {found}; allowed is {}", in_words(expected, &key))
            }
            kind => format!("{place}: {kind}"),
        }
    });
    let faults: Vec<_> = faults.collect();
    ConfigError::check(faults).err().unwrap_or_else(|| ConfigError::one(format!("{source} can't be read")))
}
