//! Every form of every message, as golden JSON.

use super::*;
use serde_json::Value;

/// Reads each golden message as `T` and writes it again: nothing is lost, added or
/// renamed. Returns how many variants were seen, by their tag.
fn golden<T: Serialize + for<'a> Deserialize<'a>>(text: &str, tag: &str) -> Vec<String> {
    let messages: Vec<Value> = serde_json::from_str(text).unwrap();
    let mut tags = Vec::new();
    for message in messages {
        let bytes = serde_json::to_vec(&message).unwrap();
        let read: T = decode(&bytes).unwrap_or_else(|_| panic!("not read: {message}"));
        assert_eq!(serde_json::to_value(&read).unwrap(), message);
        tags.push(message.get(tag).unwrap_or(&message).as_str().unwrap_or("").to_owned());
    }
    tags.sort();
    tags.dedup();
    tags
}

/// The messages of one version, each file by its name.
macro_rules! messages {
    ($version:literal) => {
        Messages {
            requests: include_str!(concat!("../golden/", $version, "/requests.json")),
            replies: include_str!(concat!("../golden/", $version, "/replies.json")),
            refusals: include_str!(concat!("../golden/", $version, "/refusals.json")),
            start: include_str!(concat!("../golden/", $version, "/start.json")),
            started: include_str!(concat!("../golden/", $version, "/started.json")),
            bare_requests: include_str!(concat!("../golden/", $version, "/bare-requests.json")),
            bare_status: include_str!(concat!("../golden/", $version, "/bare-status.json")),
            clear_refusals: include_str!(concat!("../golden/", $version, "/clear-refusals.json")),
        }
    };
}

struct Messages {
    requests: &'static str,
    replies: &'static str,
    refusals: &'static str,
    start: &'static str,
    started: &'static str,
    bare_requests: &'static str,
    bare_status: &'static str,
    clear_refusals: &'static str,
}

const V1: Messages = messages!("v1");
const V2: Messages = messages!("v2");

#[test]
fn requests_are_what_the_protocol_says() {
    for version in [V1, V2] {
        let seen = golden::<Request>(version.requests, "do");
        let all = ["forget", "get", "get-all", "mint", "push", "revoke", "seal-drop", "status"];
        assert_eq!(seen, all);
    }
}

#[test]
fn replies_are_what_the_protocol_says() {
    for (version, codes) in [(V1, 9), (V2, 10)] {
        let seen = golden::<Reply>(version.replies, "is");
        assert_eq!(seen, ["done", "refused", "sealed", "status", "values"]);
        assert_eq!(golden::<Refusal>(version.refusals, "").len(), codes);
    }
}

#[test]
fn the_start_is_what_the_protocol_says() {
    for version in [V1, V2] {
        golden::<Start>(version.start, "");
        let seen = golden::<Started>(version.started, "is");
        assert_eq!(seen, ["already-running", "failed", "ready"]);
    }
}

#[test]
fn clear_words_are_what_the_protocol_says() {
    for version in [V1, V2] {
        let seen = golden::<BareRequest>(version.bare_requests, "");
        assert_eq!(seen, ["lock", "status"]);
        golden::<BareStatus>(version.bare_status, "");
        golden::<ClearRefusal>(version.clear_refusals, "");
    }
}

/// What was spoken once is spoken by daemons that still run: it does not change any more.
#[test]
fn the_messages_of_an_older_version_are_left_as_they_are() {
    use sha2::{Digest as _, Sha256};
    let files = [
        V1.requests,
        V1.replies,
        V1.refusals,
        V1.start,
        V1.started,
        V1.bare_requests,
        V1.bare_status,
        V1.clear_refusals,
    ];
    let digest = Sha256::digest(files.concat());
    assert_eq!(
        hex::lower::encode_string(&digest),
        "2e208697129709af0b14ef67e452e9febfc2fd91b293579b43e1ccf6df64153d"
    );
}

#[test]
fn a_newer_field_is_passed_over() {
    let newer = br#"{"do":"get","asks":[],"newer":{"field":1}}"#;
    assert!(matches!(decode(newer), Ok(Request::Get { .. })));
}

#[test]
fn what_is_not_a_message_is_not_quoted() {
    for bad in [&b""[..], b"{}", b"hunter2", br#"{"do":"hunter2"}"#, br#"{"do":"get"}"#] {
        let error = decode::<Request>(bad).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}

/// Each block "json Type" of the documentation, read as that type and written again.
#[test]
fn examples_of_the_documentation_are_messages() {
    let text = include_str!("../../../../docs/PROTOCOL.md");
    let mut count = 0;
    for block in text.split("```json ").skip(1) {
        let (kind, rest) = block.split_once('\n').unwrap();
        let message = format!("[{}]", rest.split_once("```").unwrap().0);
        match kind {
            "Request" => drop(golden::<Request>(&message, "do")),
            "Reply" => drop(golden::<Reply>(&message, "is")),
            "ClearRefusal" => drop(golden::<ClearRefusal>(&message, "")),
            "BareRequest" => drop(golden::<BareRequest>(&message, "")),
            "BareStatus" => drop(golden::<BareStatus>(&message, "")),
            "Start" => drop(golden::<Start>(&message, "")),
            "Started" => drop(golden::<Started>(&message, "is")),
            other => panic!("no such message: {other}"),
        }
        count += 1;
    }
    assert_eq!(count, text.matches("\n```json").count());
    assert!(count > 15);
}

#[test]
fn vectors_of_the_documentation_are_golden() {
    let text = include_str!("../../../../docs/PROTOCOL.md");
    let keys = include_str!("../golden/keys.txt").lines();
    let log = include_str!("../golden/audit.log").lines();
    for vector in keys.chain(log.take(1)) {
        assert!(text.contains(vector), "{vector}");
    }
}
