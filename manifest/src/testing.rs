//! Keys for tests. Public text only, made with `ssh-keygen`.

/// An Ed25519 key.
pub(crate) const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILGu2F+Yz2ySfmzojixeipuBOBvTnSTt19Zis4YdjKKj alice@example";

/// An RSA key of 2048 bits.
pub(crate) const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC1SfGqKHqF5CzJ4Ft0FSw5A2WDalV9vYX9x42pju/gu7AWUMdPca1aJuXH9xNVszpDgaMCvP5wxhUOHwRaezx3GaIW7d6oicy8KtDK6PVid6OeC+SbMKbrAbDpdAAYCLsXbIxbMX5b2YzC7JA+v/DXFbjuGxk+IKGqs8y0XXStZoMNSLVYSkRlhhHUhk+LOmOZVqsCpADdP83lUM/okHPAF9dsb5rL+9C4PhdU9Nr+OVm+zske18+TBkRbWtRf0dcw09KzVxUjnE8+yklkCVXGmyQiAjPVjB/UADCSMVZENsN0dXehnTCQDJq5/stgvHy/J2xAzmM6Kjd54YBN8rUV rsa@example";
