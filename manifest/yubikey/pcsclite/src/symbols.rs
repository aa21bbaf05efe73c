//! Every function that `pcsc-sys` declares, passed on to `libpcsclite.so.1`. Where that
//! cannot be opened, each answers that there is no service.
#![allow(unsafe_code, reason = "symbols of a C library, passed on")]
#![allow(non_snake_case, non_upper_case_globals, reason = "its names")]
#![allow(clippy::too_many_arguments, reason = "its signatures")]

use std::ffi::{c_char, c_void};
use std::sync::OnceLock;

use libloading::Library;
use pcsc_sys::{
    DWORD, LONG, SCARD_E_NO_SERVICE, SCARD_IO_REQUEST, SCARD_PROTOCOL_RAW, SCARD_PROTOCOL_T0,
    SCARD_PROTOCOL_T1, SCARD_READERSTATE, SCARDCONTEXT, SCARDHANDLE,
};

/// The library that is opened.
pub const LIBRARY: &str = "libpcsclite.so.1";

/// Whether the library can be opened.
pub fn is_installed() -> bool {
    functions().is_some()
}

macro_rules! pass_on {
    ($($name:ident($($argument:ident: $type:ty),*);)*) => {
        struct Functions {
            $($name: unsafe extern "C" fn($($type),*) -> LONG,)*
        }

        impl Functions {
            fn of(library: &Library) -> Result<Self, libloading::Error> {
                // SAFETY: each is declared in winscard.h with the type that pcsc-sys gives it.
                unsafe { Ok(Self { $($name: *library.get(stringify!($name).as_bytes())?,)* }) }
            }
        }

        $(
            /// Of libpcsclite.
            ///
            /// # Safety
            /// As libpcsclite says of it.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name($($argument: $type),*) -> LONG {
                match functions() {
                    // SAFETY: the caller keeps to what libpcsclite asks for.
                    Some(functions) => unsafe { (functions.$name)($($argument),*) },
                    None => SCARD_E_NO_SERVICE,
                }
            }
        )*
    };
}

pass_on! {
    SCardEstablishContext(scope: DWORD, reserved1: *const c_void, reserved2: *const c_void, context: *mut SCARDCONTEXT);
    SCardReleaseContext(context: SCARDCONTEXT);
    SCardIsValidContext(context: SCARDCONTEXT);
    SCardCancel(context: SCARDCONTEXT);
    SCardConnect(context: SCARDCONTEXT, reader: *const c_char, share: DWORD, preferred: DWORD, card: *mut SCARDHANDLE, active: *mut DWORD);
    SCardReconnect(card: SCARDHANDLE, share: DWORD, preferred: DWORD, initialization: DWORD, active: *mut DWORD);
    SCardDisconnect(card: SCARDHANDLE, disposition: DWORD);
    SCardGetStatusChange(context: SCARDCONTEXT, timeout: DWORD, states: *mut SCARD_READERSTATE, count: DWORD);
    SCardListReaders(context: SCARDCONTEXT, groups: *const c_char, readers: *mut c_char, length: *mut DWORD);
    SCardBeginTransaction(card: SCARDHANDLE);
    SCardEndTransaction(card: SCARDHANDLE, disposition: DWORD);
    SCardStatus(card: SCARDHANDLE, name: *mut c_char, name_length: *mut DWORD, state: *mut DWORD, protocol: *mut DWORD, atr: *mut u8, atr_length: *mut DWORD);
    SCardGetAttrib(card: SCARDHANDLE, id: DWORD, attribute: *mut u8, length: *mut DWORD);
    SCardSetAttrib(card: SCARDHANDLE, id: DWORD, attribute: *const u8, length: DWORD);
    SCardTransmit(card: SCARDHANDLE, send_pci: *const SCARD_IO_REQUEST, send: *const u8, send_length: DWORD, receive_pci: *mut SCARD_IO_REQUEST, receive: *mut u8, receive_length: *mut DWORD);
    SCardControl(card: SCARDHANDLE, code: DWORD, send: *const u8, send_length: DWORD, receive: *mut u8, receive_length: DWORD, returned: *mut DWORD);
}

fn functions() -> Option<&'static Functions> {
    static OPENED: OnceLock<Option<(Functions, Library)>> = OnceLock::new();
    let opened = OPENED.get_or_init(|| {
        // SAFETY: its initialisers do nothing that this process would have to know of.
        let library = unsafe { Library::new(LIBRARY) }.ok()?;
        Some((Functions::of(&library).ok()?, library))
    });
    opened.as_ref().map(|(functions, _)| functions)
}

const fn request(protocol: DWORD) -> SCARD_IO_REQUEST {
    SCARD_IO_REQUEST { dwProtocol: protocol, cbPciLength: size_of::<SCARD_IO_REQUEST>() as DWORD }
}

/// Of libpcsclite.
#[unsafe(no_mangle)]
pub static g_rgSCardT0Pci: SCARD_IO_REQUEST = request(SCARD_PROTOCOL_T0);
/// Of libpcsclite.
#[unsafe(no_mangle)]
pub static g_rgSCardT1Pci: SCARD_IO_REQUEST = request(SCARD_PROTOCOL_T1);
/// Of libpcsclite.
#[unsafe(no_mangle)]
pub static g_rgSCardRawPci: SCARD_IO_REQUEST = request(SCARD_PROTOCOL_RAW);
