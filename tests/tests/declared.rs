//! `keyrack exec` in a repository: what its `keyrack.yml` decides, and what it does not.

use keyrack_tests::Rack;

fn plain() -> Rack {
    let rack = Rack::new();
    rack.key("bot");
    rack.sh("keyrack init --for bot; for k in ONE TWO; do printf $k-value | keyrack set --for bot --key $k; done").ok();
    rack
}

#[test]
fn keyrack_yml_decides_only_when_trusted_and_as_it_was() {
    let rack = plain();
    rack.write("work/keyrack.yml", "extends: [base.yml]\n");
    rack.write("work/base.yml", "env.all: [ONE]\n");
    let exec = "keyrack exec --quiet --for bot -- sh -c 'echo \"$ONE/$TWO\"'";
    let done = rack.sh(exec);
    done.code(5).bytes(b"");
    assert!(done.errors().contains("hint: keyrack trust\n"), "{done}");
    rack.sh(&format!("keyrack trust; {exec}")).ok().stdout("ONE-value/\n");
    // Also what it extends is part of what was trusted.
    rack.write("work/base.yml", "env.all: [ONE, TWO]\n");
    rack.sh(exec).code(5).bytes(b"");
    rack.sh("keyrack exec --quiet --for bot --key TWO -- sh -c 'echo \"$ONE/$TWO\"'")
        .ok()
        .stdout("/TWO-value\n");
}

#[test]
fn what_keyrack_yml_asks_for_is_optional_or_of_a_class() {
    let rack = plain();
    rack.write("work/keyrack.yml", "env.all:\n  - ONE\n  - NONE: {optional: true}\n");
    rack.sh("keyrack trust; keyrack exec --quiet --for bot -- sh -c 'echo $ONE'")
        .ok()
        .stdout("ONE-value\n");
    rack.write("work/keyrack.yml", "env.all:\n  - ONE\n  - NONE\n");
    rack.sh("keyrack trust; keyrack exec --quiet --for bot -- sh -c 'echo $ONE'")
        .code(4)
        .bytes(b"");
    rack.write("work/keyrack.yml", "env.all:\n  - ONE: {class: password}\n");
    let done = rack.sh("keyrack trust; keyrack exec --quiet --for bot -- sh -c 'echo $ONE'");
    done.code(11).bytes(b"");
    assert!(done.errors().contains("what is declared is a password"), "{done}");
}

#[test]
fn a_file_that_lists_nothing_for_an_env_gives_nothing() {
    let rack = plain();
    rack.sh("printf x | keyrack set --for bot --key P --env prod").ok();
    rack.write("work/keyrack.yml", "org: '@all'\nenv.prod: [P]\n");
    let none = rack.sh("keyrack trust --quiet; keyrack exec --quiet --for bot -- env");
    none.code(4).bytes(b"");
    assert!(none.errors().contains("lists nothing for all envs"), "{none}");
    rack.sh("keyrack exec --quiet --for bot --env dev -- env").code(4).bytes(b"");
    rack.sh("keyrack exec --quiet --for bot --env prod -- sh -c 'echo \"$P$ONE\"'")
        .ok()
        .stdout("x\n");
    // One that only says whose repository it is decides nothing.
    rack.write("work/keyrack.yml", "org: '@all'\n");
    rack.sh("keyrack trust --quiet; keyrack exec --quiet --for bot -- sh -c 'echo $ONE'")
        .ok()
        .stdout("ONE-value\n");
}
