{
  # Evaluated by `nix flake check` against a stand-in for nixpkgs, and never built: it was
  # written where Nix has no network.
  #   nix build 'git+file:.?dir=keyrack-cli/packaging/nix'
  description = "keyrack, a credential rack for robots that share one machine";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" ];
      forEach = make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
    in
    {
      packages = forEach (pkgs: {
        default = pkgs.rustPlatform.buildRustPackage {
          pname = "keyrack";
          version = "0.1.0";
          src = ../../..;
          cargoLock.lockFile = ../../../Cargo.lock;
          cargoBuildFlags = [ "-p" "keyrack-cli" "-p" "keyrackd" ];
          # The tests install packages and make users: tests/run, outside of Nix.
          doCheck = false;
          nativeBuildInputs = [ pkgs.installShellFiles ];
          postInstall = ''
            mkdir -p $out/libexec/keyrack $out/lib/systemd/user
            mv $out/bin/keyrackd $out/libexec/keyrack/
            # The store is readable to all: the daemon shuts its start window by a copy of itself.
            for unit in keyrack-cli/packaging/systemd/user/*; do
              substitute $unit $out/lib/systemd/user/$(basename $unit) --replace-quiet "=keyrack " "=$out/bin/keyrack "
            done
            $out/bin/keyrack generate man man
            installManPage man/*
            for shell in bash zsh fish; do
              $out/bin/keyrack generate completions $shell >keyrack.$shell
            done
            installShellCompletion keyrack.{bash,zsh,fish}
          '';
          meta = {
            mainProgram = "keyrack";
            license = with nixpkgs.lib.licenses; [ mit asl20 ];
            platforms = systems;
          };
        };
      });
    };
}
