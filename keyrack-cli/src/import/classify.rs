//! What kind of credential a variable's name speaks of, and of which service. A guess that a
//! person looks at before it counts. Pure.

use keyrack_manifest::Class;

/// By a word of the name, the first that fits. What is behind it is not looked at.
const WORDS: &[(&str, Class)] = &[
    ("PASSWORD", Class::Password),
    ("PASSWD", Class::Password),
    ("PASSPHRASE", Class::Password),
    ("PWD", Class::Password),
    ("PASS", Class::Password),
    ("COOKIE", Class::Session),
    ("COOKIES", Class::Session),
    ("SESSION", Class::Session),
    ("JWT", Class::Session),
];
/// By the last word of the name: not secret by itself.
const PLAIN: &[&str] = &[
    "ID",
    "URL",
    "URI",
    "HOST",
    "HOSTNAME",
    "PORT",
    "REGION",
    "ZONE",
    "USER",
    "USERNAME",
    "EMAIL",
    "NAME",
    "ENV",
    "ENVIRONMENT",
    "DEBUG",
    "LEVEL",
    "DIR",
    "FILE",
    "MODE",
    "VERSION",
    "TIMEOUT",
    "BUCKET",
    "DATABASE",
    "DB",
    "ENDPOINT",
    "DOMAIN",
    "LOCALE",
    "TZ",
];
/// The service, by how a name begins.
const SERVICES: &[(&str, &str)] = &[
    ("GITHUB_", "github"),
    ("GH_", "github"),
    ("GITLAB_", "gitlab"),
    ("AWS_", "aws"),
    ("AZURE_", "azure"),
    ("GOOGLE_", "google"),
    ("GCP_", "google"),
    ("OPENAI_", "openai"),
    ("ANTHROPIC_", "anthropic"),
    ("SLACK_", "slack"),
    ("STRIPE_", "stripe"),
    ("TWILIO_", "twilio"),
    ("SENTRY_", "sentry"),
    ("NPM_", "npm"),
    ("CLOUDFLARE_", "cloudflare"),
    ("DATADOG_", "datadog"),
    ("DD_", "datadog"),
    ("DATABASE_", "database"),
    ("DB_", "database"),
    ("POSTGRES_", "database"),
    ("PG", "database"),
    ("MYSQL_", "database"),
    ("REDIS_", "database"),
    ("SMTP_", "smtp"),
];

/// The class that a name, and what its value looks like, speak for. What says nothing is taken
/// for a secret.
pub fn class(name: &str, value: &[u8]) -> Class {
    let upper = name.to_ascii_uppercase();
    let words: Vec<&str> = upper.split('_').collect();
    if let Some((_, class)) = WORDS.iter().find(|(word, _)| words.contains(word)) {
        return *class;
    }
    let is_plain = words.last().is_some_and(|last| PLAIN.contains(last));
    if is_plain && !has_password(value) { Class::Config } else { Class::LongLivedToken }
}

/// The service that a name speaks of.
pub fn service(name: &str) -> Option<&'static str> {
    let upper = name.to_ascii_uppercase();
    SERVICES.iter().find(|(begin, _)| upper.starts_with(begin)).map(|(_, service)| *service)
}

/// Whether it is an address with a password in it: `scheme://user:password@host`.
fn has_password(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else { return false };
    let Some((_, rest)) = text.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').is_some_and(|(who, _)| who.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_what_they_speak_of() {
        for (name, value, as_class, of) in [
            ("GITHUB_TOKEN", "x", Class::LongLivedToken, Some("github")),
            ("gh_pat", "x", Class::LongLivedToken, Some("github")),
            ("DB_PASSWORD", "x", Class::Password, Some("database")),
            ("PGHOST", "x", Class::LongLivedToken, Some("database")),
            ("SMTP_PASS", "x", Class::Password, Some("smtp")),
            ("COMPASS_KEY", "x", Class::LongLivedToken, None),
            ("PORTAL_SESSION", "x", Class::Session, None),
            ("AWS_ACCESS_KEY_ID", "x", Class::Config, Some("aws")),
            ("AWS_SECRET_ACCESS_KEY", "x", Class::LongLivedToken, Some("aws")),
            ("API_URL", "https://api.example/v1", Class::Config, None),
            ("DATABASE_URL", "postgres://me:hunter2@db/x", Class::LongLivedToken, Some("database")),
            ("DATABASE_URL", "postgres://db/x?at=a:b@c", Class::Config, Some("database")),
            ("WHATEVER", "x", Class::LongLivedToken, None),
        ] {
            assert_eq!(class(name, value.as_bytes()), as_class, "{name}={value}");
            assert_eq!(service(name), of, "{name}");
        }
    }
}
