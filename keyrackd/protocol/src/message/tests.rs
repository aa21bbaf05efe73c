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

#[test]
fn requests_are_what_the_protocol_says() {
    let seen = golden::<Request>(include_str!("../golden/requests.json"), "do");
    assert_eq!(seen, ["forget", "get", "get-all", "mint", "push", "revoke", "seal-drop", "status"]);
}

#[test]
fn replies_are_what_the_protocol_says() {
    let seen = golden::<Reply>(include_str!("../golden/replies.json"), "is");
    assert_eq!(seen, ["done", "refused", "sealed", "status", "values"]);
    let codes = golden::<Refusal>(include_str!("../golden/refusals.json"), "");
    assert_eq!(codes.len(), 9);
}

#[test]
fn the_start_is_what_the_protocol_says() {
    golden::<Start>(include_str!("../golden/start.json"), "");
    let seen = golden::<Started>(include_str!("../golden/started.json"), "is");
    assert_eq!(seen, ["already-running", "failed", "ready"]);
}

#[test]
fn clear_words_are_what_the_protocol_says() {
    let seen = golden::<BareRequest>(include_str!("../golden/bare-requests.json"), "");
    assert_eq!(seen, ["lock", "status"]);
    golden::<BareStatus>(include_str!("../golden/bare-status.json"), "");
    golden::<ClearRefusal>(include_str!("../golden/clear-refusals.json"), "");
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
