"""What a scan asks for: from TOML to frozen cells with an identity."""
