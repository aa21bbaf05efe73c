//! Standard input and output without the library's buffers, in which copies of secrets would
//! stay, and with every error: the library takes a closed one for an empty one.

use std::io::{self, Read, Write};

use nix::unistd;

/// Standard input.
#[derive(Debug)]
pub struct Stdin;

/// Standard output.
#[derive(Debug)]
pub struct Stdout;

impl Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(unistd::read(io::stdin(), buffer)?)
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(unistd::write(io::stdout(), bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
