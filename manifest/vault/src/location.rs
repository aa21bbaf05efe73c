//! Where a vault is: a directory, or a git remote. It comes from flags and from invitations,
//! and reaches git; so what may stand here is a short list.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a vault is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A directory of this machine.
    Directory(PathBuf),
    /// A git remote, as git takes it.
    Remote(String),
}

/// Why a text is no location. The text itself is not shown: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// It is empty, begins like a flag, or has control characters.
    #[error("not a location: use a directory or a git remote")]
    Shape,
    /// Its scheme is none of those allowed.
    #[error("not a location: of remotes, https://, ssh://, file:// and user@host:path are allowed")]
    Scheme,
    /// It carries a password.
    #[error("a location with a password in it would be handed on with every invitation")]
    Password,
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        let odd = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        if text.is_empty() || text.len() > 4096 || text.starts_with('-') || text.contains(odd) {
            return Err(LocationError::Shape);
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return match scheme {
                "https" | "ssh" | "file" => remote(text, rest),
                _ => Err(LocationError::Scheme),
            };
        }
        // `ext::…` runs a program; `host:path` is ssh's, unless it is a path.
        match text.split_once(':') {
            Some((before, _)) if before.contains('/') => Ok(Self::Directory(text.into())),
            Some((before, path))
                if !path.starts_with(':') && is_host(before) && !path.is_empty() =>
            {
                Ok(Self::Remote(text.to_owned()))
            }
            Some(_) => Err(LocationError::Scheme),
            None => Ok(Self::Directory(text.into())),
        }
    }
}

fn remote(text: &str, rest: &str) -> Result<Location, LocationError> {
    let host = rest.split('/').next().unwrap_or_default();
    if host.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')) {
        return Err(LocationError::Password);
    }
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    if host.starts_with('-') {
        Err(LocationError::Shape)
    } else {
        Ok(Location::Remote(text.to_owned()))
    }
}

/// `host` or `user@host`, of what names are made of.
fn is_host(text: &str) -> bool {
    let fits = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && part.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-'))
    };
    match text.split_once('@') {
        Some((user, host)) => fits(user) && fits(host),
        None => fits(text),
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(f),
            Self::Remote(url) => f.pad(url),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_and_remotes_are_told_apart() {
        for path in ["/srv/team", "team", "./a:b", "../x", "/a b/ü", "C/x:y"] {
            assert_eq!(path.parse(), Ok(Location::Directory(path.into())), "{path}");
        }
        for url in [
            "https://example.org/team.git",
            "ssh://git@example.org:22/team.git",
            "file:///srv/team.git",
            "git@example.org:team.git",
            "host:path/to/it",
        ] {
            assert_eq!(url.parse(), Ok(Location::Remote(url.to_owned())), "{url}");
        }
    }

    #[test]
    fn nothing_that_runs_or_leaks_is_a_location() {
        use LocationError::{Password, Scheme, Shape};
        for (text, why) in [
            ("", Shape),
            ("--upload-pack=touch /tmp/x", Shape),
            ("-oProxyCommand=x", Shape),
            ("a\nb", Shape),
            ("ssh://-oProxyCommand=x/y", Shape),
            ("ssh://me@-oProxyCommand=x/y", Shape),
            ("ext::sh -c touch% /tmp/x", Scheme),
            ("http://example.org/x", Scheme),
            ("git://example.org/x", Scheme),
            ("fd::17", Scheme),
            ("-x@host:path", Shape),
            ("me@-host:path", Scheme),
            ("https://me:secret@example.org/x", Password),
        ] {
            assert_eq!(text.parse::<Location>(), Err(why), "{text}");
        }
    }
}
