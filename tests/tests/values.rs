//! Any bytes come back as they were, by every way in and every way out.

use keyrack_tests::Rack;

fn values() -> Vec<(&'static str, Vec<u8>)> {
    let all_bytes: Vec<u8> = (0..=255).collect();
    vec![
        ("EMPTY", Vec::new()),
        ("NUL", b"a\0b\0".to_vec()),
        ("INVALID_UTF8", b"\xff\xfe\xc3(".to_vec()),
        ("NEWLINES", b"\n\r\n two \n\n".to_vec()),
        ("EVERY_BYTE", all_bytes.repeat(9)),
        ("OVER_A_NOISE_MESSAGE", all_bytes.repeat(257)),
        ("NON_ASCII_300_KIB", "żółć🐢".repeat(300 * 1024 / 12).into_bytes()),
        ("ONE_MIB", all_bytes.repeat(4096)),
    ]
}

fn rack() -> Rack {
    let rack = Rack::new();
    rack.key("bot");
    rack.sh("keyrack init --for bot").ok();
    rack
}

#[test]
fn from_stdin_and_by_get() {
    let rack = rack();
    for (key, value) in values() {
        let set = rack.script(&format!("keyrack set --for bot --key {key}"));
        set.stdin(value).run().ok();
    }
    rack.sh("keyrack unlock --for bot").ok();
    for (key, value) in values() {
        rack.sh(&format!("keyrack get --for bot --key {key}")).ok().bytes(&value);
    }
}

#[test]
fn from_a_file_and_in_a_batch() {
    let rack = rack();
    for (key, value) in values() {
        rack.write(&format!("work/{key}"), &value);
        rack.sh(&format!("keyrack set --for bot --key {key} --from-file {key}")).ok();
    }
    for (key, value) in values() {
        let get = format!("keyrack get --unlock --for bot --key {key} --json");
        let decode = "import base64, json, sys
v = json.load(sys.stdin)['values'][0]
text = v['value']
out = base64.b64decode(text) if v.get('encoding') == 'base64' else text.encode()
sys.stdout.buffer.write(out)";
        rack.write("work/decode.py", decode);
        rack.sh(&format!("set -o pipefail; {get} | python3 decode.py")).ok().bytes(&value);
    }
}

#[test]
fn through_a_drop_and_a_copy() {
    let rack = Rack::new();
    let elsewhere = rack.make_key("elsewhere", keyrack_tests::rack::KeyType::Ed25519, "");
    rack.key("other");
    rack.sh("keyrack init --for bot --pubkey ~/.ssh/elsewhere.pub; keyrack init --for other").ok();
    for (key, value) in values() {
        let set = rack.script(&format!("keyrack set --for bot --key {key}"));
        set.stdin(value).run().ok();
    }
    let identity = elsewhere.display();
    rack.sh(&format!("keyrack unlock --for bot --identity {identity} --accept-drops")).ok();
    for (key, value) in values() {
        let copy = format!("keyrack copy --from bot --to other --key {key} --identity {identity}");
        rack.sh(&copy).ok();
        let get = format!("keyrack get --for bot --key {key} --identity {identity}");
        rack.sh(&get).ok().bytes(&value);
    }
    rack.sh("keyrack unlock --for other --accept-drops").ok();
    for (key, value) in values() {
        rack.sh(&format!("keyrack get --for other --key {key}")).ok().bytes(&value);
    }
}

#[test]
fn replaced_in_a_running_daemon() {
    let rack = rack();
    rack.sh("printf first | keyrack set --for bot --key TOKEN; keyrack unlock --for bot").ok();
    for (_, value) in values() {
        let set = rack.script("keyrack set --for bot --key TOKEN");
        set.stdin(value.clone()).run().ok();
        rack.sh("keyrack get --for bot --key TOKEN").ok().bytes(&value);
    }
}

#[test]
fn over_a_mebibyte_is_refused_whole() {
    let rack = rack();
    let set = rack.script("keyrack set --for bot --key TOKEN");
    set.stdin(vec![b'x'; 1024 * 1024 + 1]).run().code(2).bytes(b"");
    rack.sh("keyrack list --for bot --json").ok();
    assert_eq!(rack.sh("keyrack list --for bot --json").json()["keys"], serde_json::json!([]));
}
