//! What a person is to type: a shell reads it as it was meant.

use std::path::Path;

/// A path as one word of a command.
pub fn path(path: &Path) -> String {
    word(&path.display().to_string())
}

/// A text as one word of a command.
pub fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./_-".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn a_word_is_what_a_shell_reads_as_one() {
        for text in ["/home/ann/team", "/home/my clôné/t m", "it's", "$(x) `y` \"z\"", "", "a\\b"]
        {
            let shell = std::process::Command::new("/bin/sh")
                .args(["-c", &format!("printf %s. {}", word(text))])
                .output()
                .expect("a shell");
            assert_eq!(String::from_utf8_lossy(&shell.stdout), format!("{text}."));
        }
        assert_eq!(word("/home/ann/team"), "/home/ann/team");
    }
}
