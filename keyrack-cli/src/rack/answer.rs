//! What an answer means to whoever asked: the value, or why not and what to type next.

use keyrack_names::{Ask, Owner, Secret, Slug};
use keyrack_protocol::message::Answer;

use crate::error::{Code, Failure, Outcome};

/// A value that was granted.
#[derive(Debug)]
pub struct Granted {
    /// Which slug answered.
    pub slug: Slug,
    /// Its value.
    pub value: Secret,
    /// How long the daemon keeps it, in milliseconds.
    pub expires_in_ms: u64,
}

/// The value in `answer`, or why there is none.
///
/// # Errors
/// [`Code::Locked`], [`Code::Absent`], [`Code::Denied`] or [`Code::Conflict`], each with
/// the next command to type.
pub fn granted(owner: &Owner, ask: &Ask, answer: Answer) -> Outcome<Granted> {
    let again = |slug: &Slug| {
        let (env, key) = (&slug.env, &slug.key);
        let whole = match slug.org == ask.org {
            true if env.is_all() => format!("--key {key}"),
            true => format!("--env {env} --key {key}"),
            false => format!("--key {slug}"),
        };
        format!("keyrack unlock --for {owner} {whole}")
    };
    Err(match answer {
        Answer::Granted { slug, value, expires_in_ms } => {
            return Ok(Granted { slug, value, expires_in_ms });
        }
        Answer::Locked { slug } => {
            Failure::new(Code::Locked, format!("{slug} is locked for {owner}")).hint(again(&slug))
        }
        Answer::Expired { slug } => {
            Failure::new(Code::Locked, format!("{slug} has expired for {owner}")).hint(again(&slug))
        }
        Answer::Denied { slug } => Failure::new(
            Code::Denied,
            format!("{slug} is unlocked for {owner}, but not for this process tree"),
        )
        .hint(again(&slug)),
        Answer::Absent => Failure::new(Code::Absent, format!("{owner} has no {}", described(ask)))
            .hint(set_hint(owner, ask)),
        Answer::Ambiguous { slugs } => {
            let names: Vec<String> = slugs.iter().map(Slug::to_string).collect();
            let failure = Failure::new(
                Code::Conflict,
                format!("{} is in several places for {owner}: {}", ask.key, names.join(", ")),
            );
            names
                .iter()
                .fold(failure, |f, name| f.hint(format!("keyrack get --for {owner} --key {name}")))
        }
    })
}

/// The ask in words: `GITHUB_TOKEN in env prod of acme`.
pub fn described(ask: &Ask) -> String {
    match &ask.env {
        Some(env) if ask.exact => format!("{}.{env}.{}", ask.org, ask.key),
        Some(env) => format!("{} in env {env} of {}", ask.key, ask.org),
        None => format!("{} in any env of {} but sudo", ask.key, ask.org),
    }
}

/// A whole slug stays whole: a bare name would take the org of the nearest keyrack.yml.
fn set_hint(owner: &Owner, ask: &Ask) -> String {
    if ask.exact {
        return format!("keyrack set --for {owner} --key {}", described(ask));
    }
    let env = ask.env.as_ref().map(|env| format!(" --env {env}")).unwrap_or_default();
    let org = if ask.org == keyrack_names::Org::all() {
        String::new()
    } else {
        format!(" --org {}", ask.org)
    };
    format!("keyrack set --for {owner} --key {}{env}{org}", ask.key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(env: Option<&str>, answer: Answer) -> (u8, String, Vec<String>) {
        let owner: Owner = "seaturtle".parse().unwrap();
        let ask = Ask {
            org: "acme".parse().unwrap(),
            env: env.map(|e| e.parse().unwrap()),
            key: "T".parse().unwrap(),
            exact: false,
        };
        let failure = granted(&owner, &ask, answer).unwrap_err();
        (failure.code as u8, failure.message, failure.hints)
    }

    #[test]
    fn every_miss_says_what_to_type_with_its_for() {
        let slug = || "acme.sudo.T".parse().unwrap();
        let unlock = "keyrack unlock --for seaturtle --env sudo --key T";
        for (answer, code, message, hint) in [
            (Answer::Locked { slug: slug() }, 3, "acme.sudo.T is locked for seaturtle", unlock),
            (Answer::Expired { slug: slug() }, 3, "acme.sudo.T has expired for seaturtle", unlock),
            (
                Answer::Denied { slug: slug() },
                5,
                "acme.sudo.T is unlocked for seaturtle, but not for this process tree",
                unlock,
            ),
            (
                Answer::Absent,
                4,
                "seaturtle has no T in env sudo of acme",
                "keyrack set --for seaturtle --key T --env sudo --org acme",
            ),
        ] {
            assert_eq!(said(Some("sudo"), answer), (code, message.into(), vec![hint.into()]));
        }
    }

    #[test]
    fn a_whole_slug_that_is_absent_is_set_by_its_whole_slug() {
        let owner: Owner = "seaturtle".parse().unwrap();
        let ask = Ask {
            org: keyrack_names::Org::all(),
            env: Some("all".parse().unwrap()),
            key: "T".parse().unwrap(),
            exact: true,
        };
        let failure = granted(&owner, &ask, Answer::Absent).unwrap_err();
        assert_eq!(failure.message, "seaturtle has no @all.all.T");
        assert_eq!(failure.hints, ["keyrack set --for seaturtle --key @all.all.T"]);
    }

    #[test]
    fn an_ambiguous_ask_names_every_slug() {
        let slugs = ["a.dev.T", "b.dev.T"].map(|s| s.parse().unwrap()).to_vec();
        let (code, message, hints) = said(None, Answer::Ambiguous { slugs });
        assert_eq!(
            (code, message.as_str()),
            (11, "T is in several places for seaturtle: a.dev.T, b.dev.T")
        );
        assert_eq!(hints.len(), 2);
    }
}
