//! `keyrack connector grant`: names which of an owner's credentials a connector may be given.

use std::collections::BTreeMap;

use jiff::Timestamp;
use keyrack_manifest::{Class, Grant};
use keyrack_names::{Ask, AskError, KeyName, Owner, Slug};

use crate::args::{ConnectorGrant, GrantedKey};
use crate::connector::declaration::Credential;
use crate::connector::found::{self, Found};
use crate::connector::granted;
use crate::error::{Code, Failure, Outcome};
use crate::owner::opened;
use crate::person::ui::Ui;
use crate::project::wanted;
use crate::settings::Settings;
use crate::team::offered;

/// Runs `keyrack connector grant`.
pub fn run(args: &ConnectorGrant, settings: &Settings, ui: &Ui) -> Outcome {
    let owner = settings.owner()?;
    let found = found::find(&args.which.id, settings)?;
    let declaration = &found.declaration;
    let now = Timestamp::now();
    let until = args.until.map(|when| when.at(now));
    if until.is_some_and(|until| until <= now) {
        return Err(Failure::new(Code::Usage, "--until: that time is over already"));
    }
    let mut opened = opened::open(settings, ui, owner)?;
    let has = offered::names(&mut opened, settings);
    let choice = Choice { args, owner, found: &found, has: &has };
    let credentials = if args.keys.is_empty() { choice.all()? } else { choice.named()? };
    let programs = found.programs()?;
    let (id, name) = (&declaration.connector, args.which.name());
    let names: Vec<&str> = credentials.keys().map(KeyName::as_str).collect();
    let ends = until.map(|until| format!(", until {until}")).unwrap_or_default();
    let words = format!("{} of {owner}{}{ends}", names.join(", "), granted::called(&name));
    let object = serde_json::json!({
        "owner": owner, "connector": id, "grant": name, "credentials": credentials, "until": until,
    });
    if settings.dry_run {
        return ui.would(format!("{id} would be granted {words}"), object);
    }
    if args.keys.is_empty() {
        // Part of the question: whoever agrees has seen it, whatever else is quiet.
        let lines = super::disclose::lines(declaration).join("\n");
        let question = format!("{lines}\nlet {id} have this of {owner}?");
        if !ui.asker.agrees(&question)? {
            return Err(Failure::new(Code::NeedsPerson, "nothing was granted"));
        }
    }
    let grant = Grant {
        v: 1,
        owner: owner.clone(),
        rack: opened.manifest.rack.id,
        connector: id.clone(),
        name,
        declaration: declaration.digest,
        repository: found.repository(),
        programs,
        credentials,
        granted_at: now,
        until,
    };
    granted::write(&grant, &opened, settings)?;
    ui.done(format!("{id} is granted {words}"), object)?;
    ui.hint(format!(
        "keyrack connector run {id} --for {owner}{} -- CMD",
        granted::flag(&grant.name)
    ));
    Ok(())
}

/// What there is to choose from.
struct Choice<'a> {
    args: &'a ConnectorGrant,
    owner: &'a Owner,
    found: &'a Found,
    has: &'a BTreeMap<Slug, Class>,
}

impl Choice<'_> {
    /// All that is declared: what is optional only where the owner has it.
    fn all(&self) -> Outcome<BTreeMap<KeyName, Slug>> {
        let mut all = BTreeMap::new();
        for (name, credential) in &self.found.declaration.credentials {
            match self.slug(name, credential, None) {
                Ok(slug) => self.add(&mut all, name, slug)?,
                Err(failure) if failure.code == Code::Absent && can_wait(credential) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(all)
    }

    fn named(&self) -> Outcome<BTreeMap<KeyName, Slug>> {
        let mut all = BTreeMap::new();
        for GrantedKey { name, slug } in &self.args.keys {
            let declaration = &self.found.declaration;
            let credential = declaration.credentials.get(name).ok_or_else(|| {
                let declared: Vec<&str> =
                    declaration.credentials.keys().map(KeyName::as_str).collect();
                let message = format!(
                    "{} declares no credential {name}: it declares {}",
                    declaration.connector,
                    declared.join(", ")
                );
                Failure::new(Code::Absent, message)
            })?;
            let slug = self.slug(name, credential, slug.as_ref())?;
            if all.contains_key(name) {
                return Err(Failure::new(Code::Usage, format!("--keys names {name} twice")));
            }
            self.add(&mut all, name, slug)?;
        }
        Ok(all)
    }

    fn add(&self, all: &mut BTreeMap<KeyName, Slug>, name: &KeyName, slug: Slug) -> Outcome {
        if let Some((other, _)) =
            all.iter().find(|(other, given)| **given == slug && *other != name)
        {
            let message = format!("{other} and {name} would be the same credential, {slug}");
            return Err(Failure::new(Code::Conflict, message).hint(format!(
                "keyrack connector grant {} --for {} --keys {name}=ORG.ENV.KEY",
                self.found.declaration.connector, self.owner
            )));
        }
        all.insert(name.clone(), slug);
        Ok(())
    }

    /// Which of the owner's credentials it is: the one that is said, else the one called as
    /// the variable that it will be in.
    fn slug(&self, name: &KeyName, credential: &Credential, said: Option<&Slug>) -> Outcome<Slug> {
        let ask = match said {
            Some(slug) => Ask::exactly(slug.clone()),
            None => Ask {
                org: wanted::org(self.args.org.as_ref())?,
                env: self.args.env.clone(),
                key: credential.variable(name).clone(),
                exact: false,
            },
        };
        match ask.find(|slug| self.has.contains_key(slug), self.has.keys()) {
            Ok(slug) => self.of_class(name, credential, slug),
            // What a helper is to make first may be granted before it is there.
            Err(AskError::Absent) if can_wait(credential) => Ok(ask.best()),
            Err(AskError::Absent) => Err(self.absent(name, credential, &ask.best())),
            Err(AskError::Ambiguous(slugs)) => {
                let slugs: Vec<String> = slugs.iter().map(Slug::to_string).collect();
                let message = format!("{name} could be {}", slugs.join(" or "));
                Err(Failure::new(Code::Conflict, message).hint(format!(
                    "keyrack connector grant {} --for {} --keys {name}={}",
                    self.found.declaration.connector,
                    self.owner,
                    slugs.first().map_or("", String::as_str)
                )))
            }
        }
    }

    fn of_class(&self, name: &KeyName, credential: &Credential, slug: Slug) -> Outcome<Slug> {
        let has = self.has.get(&slug).copied().unwrap_or_default();
        if has == credential.class {
            return Ok(slug);
        }
        let declared = credential.class;
        let id = &self.found.declaration.connector;
        let message = format!("{slug} is a {has}, and {id} declares {name} as a {declared}");
        Err(Failure::new(Code::Conflict, message)
            .hint(format!("keyrack set --for {} --key {slug} --class {declared}", self.owner)))
    }

    fn absent(&self, name: &KeyName, credential: &Credential, slug: &Slug) -> Failure {
        let (owner, class) = (self.owner, credential.class);
        Failure::new(Code::Absent, format!("{owner} has no {slug}, which {name} would be"))
            .hint(format!("keyrack set --for {owner} --key {slug} --class {class}"))
    }
}

/// Whether a program makes it.
fn can_wait(credential: &Credential) -> bool {
    credential.optional || credential.refresh.is_some()
}
